"""Both systems and all they share, without a server: stores, clock, rules, APIs, what is planned and what was asked.

:class:`~dualsync_sandbox.sandbox.Sandbox` serves them; the control plane works on them.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dualsync_sandbox import business
from dualsync_sandbox import plant as planting
from dualsync_sandbox import play as playing
from dualsync_sandbox import seed as seeding
from dualsync_sandbox.clock import CLOCK_FILE, Clock
from dualsync_sandbox.dataverse.api import DataverseApi
from dualsync_sandbox.finance.api import FinanceApi
from dualsync_sandbox.finance.data_management.packages import Packages
from dualsync_sandbox.finance.definitions import Definitions
from dualsync_sandbox.gateway.faults import Edit, Faults
from dualsync_sandbox.gateway.limits import Limits
from dualsync_sandbox.gateway.trace import Trace, Writes
from dualsync_sandbox.identity.service import Identity
from dualsync_sandbox.protocol.http import to_json
from dualsync_sandbox.schema import SystemSchema
from dualsync_sandbox.seed.profile import PROJECTS
from dualsync_sandbox.store import Store

STORE_FILES = {"dataverse": "dataverse.db", "finance": "finance.db"}


class Systems:
    """Both systems in one state folder.

    Args:
        state_dir: Where stores, certificates and secrets lie; made when missing. Rows and the clock
            survive a restart.
        default_company: The company of the Finance user that the client is mapped to.

    Raises:
        RuntimeError: Another sandbox runs in the same folder.

    Attributes:
        clock: The clock both systems go by.
        dataverse_store: Rows of Dataverse.
        finance_store: Rows of Finance.
        requests: The trace.
        writes: Rows written through each API.
        switches: Behaviours that tenants show or do not show.
        faults: What is planned to go wrong.
        limits: What callers are granted, and how long answers take.
        identity: The service that clients sign in to.
        dataverse: The Web API of Dataverse.
        finance: The API of Finance.
    """

    def __init__(self, state_dir: Path, *, default_company: str = "uspm") -> None:
        self.state_dir = Path(state_dir)
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self._lock = self._take_folder()
        self.clock = Clock(kept=self.state_dir / CLOCK_FILE)
        self.requests = Trace()
        self.faults = Faults()
        self.limits = Limits(self.clock)
        self.writes = {"dataverse": Writes(), "finance": Writes()}
        self.dataverse_store = self._store("dataverse")
        self.finance_store = self._store("finance")
        self.switches = business.Switches()
        business.install(self.dataverse_store, self.finance_store, self.clock, switches=self.switches)
        self.identity = Identity(self.clock)
        self.dataverse = DataverseApi(self.dataverse_store, self.writes["dataverse"])
        self.finance = FinanceApi(self.finance_store, self.writes["finance"], default_company, self.limits)
        self.finance_definitions = Definitions(self.finance_store.schema)

    def _take_folder(self) -> int:
        """Hold the folder: two processes writing to the same stores would give out the same versions.

        Raises:
            RuntimeError: Another sandbox has it.
        """
        lock = os.open(self.state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise RuntimeError(f"another sandbox runs in {self.state_dir}") from None
        return lock

    def _store(self, system: Any) -> Store:
        return Store(self.state_dir / STORE_FILES[system], SystemSchema.load(system), self.clock)

    def close(self) -> None:
        """Close the stores and let go of the folder."""
        self.dataverse_store.close()
        self.finance_store.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def seed(self, profile: str = "demo", seed: int = 1, projects: int | None = None) -> dict[str, object]:
        """Fill both systems; see ``dualsync_sandbox.seed``.

        Args:
            profile: ``demo``, ``small`` or ``large``.
            seed: The same number gives the same rows.
            projects: Another number of projects than the profile's.

        Raises:
            ValueError: Unknown profile.
        """
        for name in PROJECTS:
            if name == profile:
                summary = seeding.seed(self.dataverse_store, self.finance_store, name, seed, projects)
                return summary.as_dict()
        raise ValueError(f"{profile!r} is none of {', '.join(PROJECTS)}")

    def play(self, days: int = 1, seed: int = 1) -> dict[str, Any]:
        """Play working days in both systems; see ``dualsync_sandbox.play.play``. It moves the clock."""
        return playing.play(self.dataverse_store, self.finance_store, self.clock, days, seed).as_dict()

    def play_event(
        self, name: str, *, company: str = "USPM", project: str | None = None, seed: int = 1
    ) -> dict[str, object]:
        """Let one event happen now; see ``dualsync_sandbox.play.play_event``."""
        stores = (self.dataverse_store, self.finance_store, self.clock)
        return playing.play_event(*stores, name, company=company, project=project, seed=seed)

    def plant(self, breaks: int = 10, seed: int = 1) -> dict[str, object]:
        """Break rows of both systems past all checks; see ``dualsync_sandbox.plant.plant``."""
        return planting.plant(self.dataverse_store, self.finance_store, breaks, seed).as_dict()

    def reset(self) -> None:
        """Remove all rows, traces and counts; change tokens expire; all else is as at first, snapshots stay."""
        self.switches.reset()
        self.faults.clear()
        self.limits.reset()
        self.dataverse_store.clear()
        self.finance_store.clear()
        self.packages.clear()
        self.packages.exports.clear()
        self.packages.recurring.remove_all()
        self.requests.clear()
        for counter in self.writes.values():
            counter.clear()
        self.clock.set(datetime.now(UTC))

    def snapshot(self, name: str) -> None:
        """Keep all rows, the clock and the switches under a name; an earlier snapshot of that name goes.

        Raises:
            ValueError: No name that a folder can have.
        """
        folder = self._snapshot_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        for system, store in self._stores.items():
            store.save(folder / STORE_FILES[system])
        facts = {"clock": self.clock.state(), "switches": self.switches.as_dict()}
        (folder / "facts.json").write_bytes(to_json(facts))

    def restore(self, name: str) -> None:
        """Go back to a snapshot. Change tokens are good again as they were then; trace, counts and plans stay.

        Jobs and files of data packages are forgotten.

        Raises:
            ValueError: There is no such snapshot.
        """
        folder = self._snapshot_folder(name)
        if not (folder / "facts.json").exists():
            raise ValueError(f"there is no snapshot {name!r}")
        facts = json.loads((folder / "facts.json").read_bytes())
        for system, store in self._stores.items():
            store.load(folder / STORE_FILES[system])
        self.clock.go_back(facts["clock"])
        self.switches.set(**facts["switches"])
        self.packages.clear()
        self.limits.forget()

    def snapshots(self) -> list[str]:
        """Names of all snapshots."""
        return sorted(facts.parent.name for facts in self.state_dir.glob("snapshots/*/facts.json"))

    def _snapshot_folder(self, name: str) -> Path:
        if not re.fullmatch(r"[\w-]{1,60}", name):
            raise ValueError("the name of a snapshot is made of letters, digits, _ and -")
        return self.state_dir / "snapshots" / name

    @property
    def _stores(self) -> dict[str, Store]:
        return {"dataverse": self.dataverse_store, "finance": self.finance_store}

    @property
    def packages(self) -> Packages:
        """The data package service of Finance."""
        return self.finance.packages

    def trace(self, **wanted: Any) -> list[dict[str, Any]]:
        """Requests so far; arguments as :meth:`dualsync_sandbox.gateway.trace.Trace.find` takes them."""
        return self.requests.find(**wanted)

    def edit(self, system: str, edits: Sequence[Edit]) -> None:
        """Change rows as somebody else would who works in the system at the same time."""
        with self._stores[system].transaction() as tx:
            for edit in edits:
                if not edit.where:
                    tx.insert(edit.table, edit.values)
                    continue
                key = self._stores[system].layout(edit.table).table.id
                for row in tx.find(edit.table, **edit.where):
                    if edit.values:
                        tx.update(edit.table, row[key], edit.values)
                    else:
                        tx.delete(edit.table, row[key])
