"""The tables of the ledger, as SQLAlchemy Core metadata; ``migrations/`` brings a database to this shape."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text

from dualsync.ledger.columns import Exact, Moment, Names

metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"},
)

_NAME = 120
_KEY = 400

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(_NAME), primary_key=True),
    Column("area", String(_NAME), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("companies", Names(), nullable=False),
    Column("maps", Names(), nullable=False),
    Column("state", String(20), nullable=False),
    Column("package_version", String(40), nullable=False),
    Column("started_at", Moment(), nullable=False),
    Column("ended_at", Moment()),
    Column("layout", Integer, nullable=False, server_default="1"),
)

legs = Table(
    "legs",
    metadata,
    Column("run_id", String(_NAME), primary_key=True),
    Column("map", String(_NAME), primary_key=True),
    Column("direction", String(20), primary_key=True),
    Column("part", String(20), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("generation_from", Integer),
    Column("generation_to", Integer),
    Column("map_hash", String(64), nullable=False),
    Column("rows_read", Integer, nullable=False, default=0),
    Column("planned", Integer, nullable=False, default=0),
    Column("created", Integer, nullable=False, default=0),
    Column("updated", Integer, nullable=False, default=0),
    Column("deleted", Integer, nullable=False, default=0),
    Column("unchanged", Integer, nullable=False, default=0),
    Column("conflict", Integer, nullable=False, default=0),
    Column("waiting", Integer, nullable=False, default=0),
    Column("quarantined", Integer, nullable=False, default=0),
    Column("skipped", Integer, nullable=False, default=0),
    Column("message", Text, nullable=False, default=""),
    Column("folder", Text, nullable=False, default=""),
    Column("started_at", Moment(), nullable=False),
    Column("ended_at", Moment()),
    Index("ix_legs_latest", "map", "direction", "part", "company", "started_at"),
)

bases = Table(
    "bases",
    metadata,
    Column("map", String(_NAME), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("run_id", String(_NAME), nullable=False),
    Column("settled_at", Moment(), nullable=False),
    Column("layout", Integer, nullable=False, server_default="1"),
)

positions = Table(
    "positions",
    metadata,
    Column("map", String(_NAME), primary_key=True),
    Column("direction", String(20), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("token", Text, nullable=False),
    Column("run_id", String(_NAME), nullable=False),
    Column("settled_at", Moment(), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("map", String(_NAME), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("run_id", String(_NAME), nullable=False),
    Column("expires_at", Moment(), nullable=False),
    Column("holder", String(200), nullable=False, server_default=""),
)

open_rows = Table(
    "open_rows",
    metadata,
    Column("map", String(_NAME), primary_key=True),
    Column("direction", String(20), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("join_key", String(_KEY), primary_key=True),
    Column("key", String(_KEY), nullable=False),
    Column("record_id", String(40)),
    Column("state", String(20), nullable=False),
    Column("rule", String(200), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("run_id", String(_NAME), nullable=False),
    Column("first_seen", Moment(), nullable=False),
    Column("last_seen", Moment(), nullable=False),
    Index("ix_open_rows_state", "state", "map"),
)

units = Table(
    "units",
    metadata,
    Column("map", String(_NAME), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("join_key", String(_KEY), primary_key=True),
    Column("lines", String(_NAME), primary_key=True),
    Column("key", String(_KEY), nullable=False),
    Column("record_id", String(40)),
    Column("expected", Integer, nullable=False),
    Column("acknowledged", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("since", Moment(), nullable=False),
    Column("run_id", String(_NAME), nullable=False),
    Index("ix_units_complete", "complete", "map"),
)

nights = Table(
    "nights",
    metadata,
    Column("run_id", String(_NAME), primary_key=True),
    Column("companies", Names(), nullable=False),
    Column("period", String(10), nullable=False),
    Column("moment", Moment(), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("critical", Integer, nullable=False),
    Column("error", Integer, nullable=False),
    Column("warning", Integer, nullable=False),
    Column("not_run", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("matched", String(60), nullable=False),
    Column("folder", Text, nullable=False),
    Column("ended_at", Moment(), nullable=False),
    Index("ix_nights_moment", "moment"),
)

night_results = Table(
    "night_results",
    metadata,
    Column("run_id", String(_NAME), primary_key=True),
    Column("control", String(_NAME), primary_key=True),
    Column("company", String(_NAME), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("breaks", Integer, nullable=False),
    Column("reason", Text, nullable=False),
)

suite_results = Table(
    "suite_results",
    metadata,
    Column("run_id", String(_NAME), primary_key=True),
    Column("suite", String(_NAME), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("warned", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("rules", Integer, nullable=False),
    Column("broken", Integer, nullable=False),
    Column("reason", Text, nullable=False),
)

breaks = Table(
    "breaks",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("fingerprint", String(64), nullable=False),
    Column("control", String(_NAME), nullable=False),
    Column("check", String(10), nullable=False, server_default=""),
    Column("company", String(_NAME), nullable=False),
    Column("key", Text, nullable=False),
    Column("class", String(40), nullable=False),
    Column("field", Text, nullable=False),
    Column("severity", String(20), nullable=False),
    Column("dataverse_value", Text, nullable=False),
    Column("finance_value", Text, nullable=False),
    Column("amount", Exact()),
    Column("currency", String(10), nullable=False),
    Column("dataverse_table", String(_NAME), nullable=False),
    Column("dataverse_id", Text, nullable=False),
    Column("finance_set", String(_NAME), nullable=False),
    Column("finance_key", Text, nullable=False),
    Column("cause", String(40), nullable=False),
    Column("explanation", Text, nullable=False),
    Column("first_seen", Moment(), nullable=False),
    Column("first_run", String(_NAME), nullable=False),
    Column("last_seen", Moment(), nullable=False),
    Column("last_run", String(_NAME), nullable=False),
    Column("nights", Integer, nullable=False),
    Column("resolved_at", Moment()),
    Column("resolved_run", String(_NAME), nullable=False),
    Column("status", String(20), nullable=False),
    Column("owner", String(_NAME), nullable=False),
    Column("comment", Text, nullable=False),
    Column("edited_by", String(_NAME), nullable=False),
    Column("edited_at", Moment()),
    Index("ix_breaks_fingerprint", "fingerprint", unique=True),
    Index("ix_breaks_open", "resolved_at", "control", "company"),
    Index("ix_breaks_last_run", "last_run", "number"),
    # What lists are filtered by; the number stands before it, so that a page is read in order and ends when full.
    Index("ix_breaks_list", "resolved_at", "number", "severity", "status", "class", "owner", "control", "company"),
    Index("ix_breaks_ages", "last_run", "severity", "first_seen"),
    Index("ix_breaks_resolved_run", "resolved_run", "number"),
)

sign_offs = Table(
    "sign_offs",
    metadata,
    Column("company", String(_NAME), primary_key=True),
    Column("period", String(10), primary_key=True),
    Column("run_id", String(_NAME), nullable=False),
    Column("folder", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("prepared_by", String(_NAME), nullable=False),
    Column("prepared_at", Moment(), nullable=False),
    Column("reviewed_by", String(_NAME), nullable=False),
    Column("reviewed_at", Moment()),
    Column("comment", Text, nullable=False),
)
