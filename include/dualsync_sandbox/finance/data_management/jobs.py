"""Jobs of data management: they run in Finance's own time, and callers ask how far they are.

The states are those of GetExecutionSummaryStatus (data-management-api.md). Assumed: a job needs a few polls, or a
minute, to finish.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dualsync_sandbox.finance.errors import FinanceError
from dualsync_sandbox.store import Store

POLLS = 3  # assumed: the first poll finds NotRun, the second Executing, the third the end
PICK_UP = timedelta(seconds=60)  # assumed: a job that nobody asks about is done by then
_ERROR = "Microsoft.Dynamics.AX.Framework.Tools.DataManagement.DMFException"

State = Literal["NotRun", "Executing", "Succeeded", "PartiallySucceeded", "Failed", "Canceled"]


def failed(message: str) -> FinanceError:
    """The refusal of an action of data management."""
    return FinanceError(400, _ERROR, message)


@dataclass
class Job:
    """One execution.

    Attributes:
        id: The execution id.
        company: The company it runs in, in lower case.
        started: When it was asked for.
        polls: How often its state was asked for.
        state: How far it is.
        fault: Why it failed as a whole.
    """

    id: str
    company: str
    started: datetime
    polls: int = 0
    state: State = "NotRun"
    fault: str = ""

    @property
    def finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state not in ("NotRun", "Executing")

    def run(self) -> None:
        """Do the work and set the state it ends in."""
        raise NotImplementedError

    def advance(self, now: datetime) -> None:
        """States follow polls; a job left alone for a minute has run as well."""
        if self.finished:
            return
        if self.polls >= POLLS or now - self.started >= PICK_UP:
            self.run()
        elif self.polls == POLLS - 1:
            self.state = "Executing"


class JobList:
    """All jobs by execution id; data packages and recurring integrations share it.

    Args:
        store: Gives the clock, and says which companies there are.

    Attributes:
        lock: Held by whoever reads or changes jobs, files of jobs, or queues of messages.
    """

    def __init__(self, store: Store) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._jobs: dict[str, Job] = {}

    def clear(self) -> None:
        """Forget all jobs."""
        with self.lock:
            self._jobs.clear()

    def add(self, job: Job) -> None:
        """Keep a job under its execution id; an earlier one of that id goes."""
        with self.lock:
            self._jobs[job.id] = job

    def get(self, execution: str) -> Job | None:
        """The job, as far as it was when somebody last asked."""
        return self._jobs.get(execution)

    def advanced(self, execution: str) -> Job | None:
        """The job as far as it is by now."""
        with self.lock:
            job = self._jobs.get(execution)
            if job is not None:
                job.advance(self._store.clock.now())
            return job

    def advancing(self) -> Iterator[Job]:
        """One job after the other, each as far as it is by now."""
        for job in list(self._jobs.values()):
            job.advance(self._store.clock.now())
            yield job

    def state(self, execution: str) -> State | None:
        """How far a job is, asked for once more; ``None`` where there is none."""
        with self.lock:
            job = self._jobs.get(execution)
            if job is None:
                return None
            job.polls += 1
            job.advance(self._store.clock.now())
            return job.state

    def company(self, code: str) -> str:
        """The company that a job runs in, in lower case.

        Raises:
            FinanceError: There is no such company.
        """
        with self._store.reading() as tx:
            if tx.find_one("LegalEntities", LegalEntityId=code) is None:
                raise failed(f"The company {code} does not exist.")
        return code.lower()
