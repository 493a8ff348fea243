"""Indexes that hold what breaks are listed and counted by, so that a page of the list reads no other rows."""

from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = ["resolved_at", "number", "severity", "status", "class", "owner", "control", "company"]


def upgrade() -> None:
    op.create_index("ix_breaks_list", "breaks", COLUMNS, unique=False)
    op.create_index("ix_breaks_ages", "breaks", ["last_run", "severity", "first_seen"], unique=False)
    op.create_index("ix_breaks_resolved_run", "breaks", ["resolved_run", "number"], unique=False)


def downgrade() -> None:
    for name in ("ix_breaks_resolved_run", "ix_breaks_ages", "ix_breaks_list"):
        op.drop_index(name, table_name="breaks")
