"""In which layout a run folder and the file of a base were written."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "bases"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("layout", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    for table in ("runs", "bases"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("layout")
