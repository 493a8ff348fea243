"""The pages of the nightly reconciliation in the Airflow UI.

They are rendered on the server, load nothing from other hosts, and each of their routes asks for a login and the
permission that its contents need (``access``). ``registration`` is all that the plugin imports. What serves the pages
is imported with the first request, so that components of Airflow that serve none save the memory.
"""

PREFIX = "/dualsync"
"""Where the pages are mounted, below the root of Airflow's address."""

NIGHT_DAG = "nightly_reconciliation"
"""Whoever may read this DAG may read the pages; whoever may edit it may edit exceptions and sign periods."""

REPLAY_DAG = "replay_rows"
REPAIR_DAG = "repair_breaks"
"""Whoever may trigger these may send rows again."""
