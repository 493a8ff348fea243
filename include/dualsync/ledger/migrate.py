"""Brings a ledger to the newest shape with Alembic."""

from __future__ import annotations

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from dualsync.errors import UnknownVersion
from dualsync.ledger.engine import writing


def upgrade(engine: Engine) -> None:
    """Run the migrations that are missing; does nothing on a database of the newest shape.

    Raises:
        UnknownVersion: A later release of dualsync has changed the shape of the ledger.
    """
    with as_file(files("dualsync.ledger") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        head = scripts.get_current_head()
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
        if revision == head:
            return
        if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
            raise UnknownVersion(
                f"the ledger was written by a later release of dualsync (shape {revision}; this release reads up to "
                f"{head}): install that release again"
            )
        # Of two processes that open a new ledger together the second waits, and finds the work done.
        with writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
