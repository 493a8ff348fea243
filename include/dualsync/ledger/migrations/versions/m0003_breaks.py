"""Nights of the reconciliation, what their controls said, breaks with their life, and signed-off periods."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nights",
        sa.Column("run_id", sa.String(length=120), nullable=False),
        sa.Column("companies", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=False),
        sa.Column("critical", sa.Integer(), nullable=False),
        sa.Column("error", sa.Integer(), nullable=False),
        sa.Column("warning", sa.Integer(), nullable=False),
        sa.Column("not_run", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("matched", sa.String(length=60), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_nights")),
    )
    op.create_index("ix_nights_moment", "nights", ["moment"], unique=False)
    op.create_table(
        "night_results",
        sa.Column("run_id", sa.String(length=120), nullable=False),
        sa.Column("control", sa.String(length=120), nullable=False),
        sa.Column("company", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("breaks", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "control", "company", name=op.f("pk_night_results")),
    )
    op.create_table(
        "breaks",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("control", sa.String(length=120), nullable=False),
        sa.Column("company", sa.String(length=120), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("class", sa.String(length=40), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("dataverse_value", sa.Text(), nullable=False),
        sa.Column("finance_value", sa.Text(), nullable=False),
        sa.Column("amount", sa.String(length=60), nullable=True),
        sa.Column("currency", sa.String(length=10), nullable=False),
        sa.Column("dataverse_table", sa.String(length=120), nullable=False),
        sa.Column("dataverse_id", sa.Text(), nullable=False),
        sa.Column("finance_set", sa.String(length=120), nullable=False),
        sa.Column("finance_key", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=40), nullable=False),
        sa.Column("explanation", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_run", sa.String(length=120), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_run", sa.String(length=120), nullable=False),
        sa.Column("nights", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_run", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=120), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("edited_by", sa.String(length=120), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_breaks")),
    )
    op.create_index("ix_breaks_fingerprint", "breaks", ["fingerprint"], unique=True)
    op.create_index("ix_breaks_open", "breaks", ["resolved_at", "control", "company"], unique=False)
    op.create_index("ix_breaks_last_run", "breaks", ["last_run", "number"], unique=False)
    op.create_table(
        "sign_offs",
        sa.Column("company", sa.String(length=120), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("run_id", sa.String(length=120), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("prepared_by", sa.String(length=120), nullable=False),
        sa.Column("prepared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reviewed_by", sa.String(length=120), nullable=False),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("company", "period", name=op.f("pk_sign_offs")),
    )


def downgrade() -> None:
    for name in ("sign_offs", "breaks", "night_results", "nights"):
        op.drop_table(name)
