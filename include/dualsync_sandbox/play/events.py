"""Single events by name: what people do in Dataverse and Finance on a working day.

Every event chooses what it needs by chance, within the company and the project that are asked for, and says what it
made.
"""

from __future__ import annotations

from dualsync_sandbox.play.contracts import CONTRACTS
from dualsync_sandbox.play.entries import ENTRIES
from dualsync_sandbox.play.estimates import ESTIMATES
from dualsync_sandbox.play.finance import FINANCE
from dualsync_sandbox.play.invoicing import INVOICING
from dualsync_sandbox.play.journals import JOURNALS
from dualsync_sandbox.play.purchases import PROCUREMENT
from dualsync_sandbox.play.scene import Event

EVENTS: dict[str, Event] = {
    **ENTRIES,
    **JOURNALS,
    **CONTRACTS,
    **ESTIMATES,
    **FINANCE,
    **PROCUREMENT,
    **INVOICING,
}
"""Events by name."""
