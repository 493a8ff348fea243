"""Decides which failures Airflow tries again, and when."""

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from dualsync.errors import Terminal, Transient

if TYPE_CHECKING:
    from airflow.sdk import Context


class FailurePolicy(RetryPolicy):
    """Never tries terminal failures again, and transient ones no sooner than the service asks.

    A terminal failure needs a person. All other failures follow the task's own retries.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None
    ) -> RetryDecision:
        """Decide on one failure. Airflow calls this in the task's process."""
        if isinstance(exception, Terminal):
            return RetryDecision.fail(reason=str(exception))
        if isinstance(exception, Transient) and exception.retry_after is not None:
            return RetryDecision.retry(delay=timedelta(seconds=exception.retry_after), reason=str(exception))
        return RetryDecision.default()
