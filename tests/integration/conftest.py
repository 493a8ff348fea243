"""What tests of DAGs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.airflow_runs import make_brisk
from support.answers import Person, answering


@pytest.fixture(scope="module")
def anna(airflow_db: None) -> Iterator[Person]:
    """Somebody who answers what Airflow asks. Runs of DAGs are quick while she is there."""
    with pytest.MonkeyPatch.context() as patch:
        make_brisk(patch)
        with answering("anna") as person:
            yield person
