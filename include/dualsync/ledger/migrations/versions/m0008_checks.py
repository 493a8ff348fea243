"""Which check of its control found an exception; empty for those that were found before controls had checks."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("breaks") as batch:
        batch.add_column(sa.Column("check", sa.String(10), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("breaks") as batch:
        batch.drop_column("check")
