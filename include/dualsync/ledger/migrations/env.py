"""Alembic's environment: works on the connection that ``dualsync.ledger.migrate`` hands in."""

from alembic import context

from dualsync.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
