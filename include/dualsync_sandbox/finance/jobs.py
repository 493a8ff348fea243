"""Jobs of data management: they run in Finance's own time, and callers ask how far they are.

The states are those of GetExecutionSummaryStatus (data-management-api.md). Assumed: a job needs a few polls, or a
minute, to finish.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from dualsync_sandbox.finance.errors import FinanceError

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
        id: the execution id.
        company: the company it runs in, in lower case.
        started: when it was asked for.
        polls: how often its state was asked for.
        state: how far it is.
        fault: why it failed as a whole.
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
