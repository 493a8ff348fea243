"""Both Dynamics systems, played honestly on loopback: a place to rehearse a cut-over without a tenant.

``Sandbox`` runs them; ``dualsync sandbox serve`` does so from the command line. What is served, and where it differs
from the real systems, stands in ``docs/sandbox.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.sandbox import Sandbox
    from dualsync_sandbox.serving import Ports

__all__ = ["Ports", "Sandbox"]


def __getattr__(name: str) -> object:
    """Load the servers only when somebody wants to run them: seeds and rules need just the stores."""
    if name in __all__:
        from dualsync_sandbox import sandbox

        return getattr(sandbox, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
