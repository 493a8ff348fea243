"""An index that holds all words by which breaks are listed, so that a page of the list reads no other rows."""

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ["resolved_at", "number", "severity", "status", "class", "owner", "control", "company"]


def upgrade() -> None:
    op.create_index("ix_breaks_list", "breaks", COLUMNS, unique=False)


def downgrade() -> None:
    op.drop_index("ix_breaks_list", table_name="breaks")
