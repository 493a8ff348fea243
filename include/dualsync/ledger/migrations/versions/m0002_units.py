"""Units of headers with their lines, and who holds a lease."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "units",
        sa.Column("map", sa.String(length=120), nullable=False),
        sa.Column("company", sa.String(length=120), nullable=False),
        sa.Column("join_key", sa.String(length=400), nullable=False),
        sa.Column("lines", sa.String(length=120), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("record_id", sa.String(length=40), nullable=True),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("acknowledged", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("map", "company", "join_key", "lines", name=op.f("pk_units")),
    )
    op.create_index("ix_units_complete", "units", ["complete", "map"], unique=False)
    with op.batch_alter_table("leases") as leases:
        leases.add_column(sa.Column("holder", sa.String(length=200), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("leases") as leases:
        leases.drop_column("holder")
    op.drop_table("units")
