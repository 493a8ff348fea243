"""Brings a ledger to the newest shape with Alembic."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from dualsync.ledger.engine import writing


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing; does nothing on a database of the newest shape."""
    with as_file(files("dualsync.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        head = ScriptDirectory.from_config(config).get_current_head()
        with engine.connect() as connection:
            if MigrationContext.configure(connection).get_current_revision() == head:
                return
        # Of two processes that open a new ledger together the second waits, and finds the work done.
        with writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
