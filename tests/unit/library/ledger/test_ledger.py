"""The ledger: settling is one transaction, generations swap only from the expected one, leases exclude."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from dualsync.errors import LegBusy, Superseded, UnknownVersion
from dualsync.ledger import BaseRecord, DocumentRecord, Ledger, LegCounts, LegRecord, OpenRow, Settlement
from dualsync.ledger.holders import has_ended, this_process


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger.open(ledger_url, clock)
    yield ledger
    ledger.close()


def leg(run: str = "run-1", generation: int | None = 0, counts: LegCounts | None = None) -> LegRecord:
    return LegRecord(
        run_id=run,
        map="projects",
        direction="to_finance",
        part="rows",
        company="USPM",
        attempt=1,
        state="settled",
        generation_from=generation,
        generation_to=None,
        map_hash="h",
        counts=counts or LegCounts(planned=1, created=1),
        message="",
        folder="",
        started_at=datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
        ended_at=None,
    )


def base(generation: int, run: str = "run-1") -> BaseRecord:
    return BaseRecord("projects", "USPM", generation, f"/bases/{generation}.parquet", 10 * generation, run)


def open_row(key: str, state: str = "waiting") -> OpenRow:
    return OpenRow("projects", "to_finance", "USPM", key.casefold(), key, None, state, "rule", "reason")


def settle(
    ledger: Ledger, record: LegRecord, new: BaseRecord | None = None, token: str | None = None, **rows: object
) -> None:
    ledger.settle(
        Settlement(
            leg=record,
            base=new,
            token=token,
            open_rows=rows.get("open_rows", ()),  # type: ignore[arg-type]
            replaced=rows.get("replaced", ("waiting", "quarantined", "conflict")),  # type: ignore[arg-type]
            resolved=rows.get("resolved", ()),  # type: ignore[arg-type]
        )
    )


def test_settling_moves_generation_token_and_counts_together(ledger: Ledger) -> None:
    settle(ledger, leg(), base(1), "token-1")
    found = ledger.base("projects", "USPM")
    assert found is not None
    assert (found.generation, found.rows, found.run_id) == (1, 10, "run-1")
    assert ledger.position("projects", "to_finance", "USPM") == "token-1"
    (record,) = ledger.legs("run-1")
    assert record.counts == LegCounts(planned=1, created=1)


def test_a_plan_from_an_older_generation_settles_nothing(ledger: Ledger) -> None:
    settle(ledger, leg(), base(1), "token-1")
    settle(ledger, leg("run-2", 1), base(2, "run-2"), "token-2")
    with pytest.raises(Superseded, match="superseded by run run-2"):
        settle(ledger, leg("run-3", 1), base(2, "run-3"), "token-3", open_rows=[open_row("P-1")])
    found = ledger.base("projects", "USPM")
    assert found is not None
    assert found.run_id == "run-2"
    assert ledger.position("projects", "to_finance", "USPM") == "token-2"
    assert ledger.open_rows() == []
    assert ledger.legs("run-3") == []


def test_a_leg_that_changes_nothing_still_moves_its_position_but_not_from_a_stale_plan(ledger: Ledger) -> None:
    settle(ledger, leg(), base(1), "token-1")
    settle(ledger, leg("run-2", 1), None, "token-2")
    assert ledger.position("projects", "to_finance", "USPM") == "token-2"
    with pytest.raises(Superseded):
        settle(ledger, leg("run-3", 0), None, "token-0")


def test_open_rows_keep_their_first_sight_and_go_when_resolved(ledger: Ledger, clock: Clock) -> None:
    settle(ledger, leg(), None, open_rows=[open_row("P-1"), open_row("P-2"), open_row("X", "delete")])
    began = clock.now
    clock.now += timedelta(hours=5)
    settle(ledger, leg("run-2"), None, open_rows=[open_row("P-2", "quarantined")])
    rows = {row.key: row for row in ledger.open_rows()}
    assert set(rows) == {"P-2", "X"}  # deletions are not replaced by a leg's rows
    assert rows["P-2"].state == "quarantined"
    assert rows["P-2"].first_seen is not None
    assert rows["P-2"].first_seen.replace(tzinfo=UTC) == began
    settle(ledger, leg("run-3"), None, replaced=(), resolved=["x"])
    assert {row.key for row in ledger.open_rows()} == {"P-2"}
    assert ledger.count_open_rows() == {("projects", "to_finance", "USPM", "quarantined"): 1}


def test_a_lease_excludes_other_runs_until_it_is_given_back_or_expires(ledger: Ledger, clock: Clock) -> None:
    ledger.take_lease("projects", "USPM", "run-1", minutes=10)
    ledger.take_lease("projects", "USPM", "run-1", minutes=10)
    ledger.take_lease("projects", "GBPM", "run-2")
    with pytest.raises(LegBusy, match="run run-1"):
        ledger.take_lease("projects", "USPM", "run-2")
    clock.now += timedelta(minutes=11)
    ledger.take_lease("projects", "USPM", "run-2")
    ledger.drop_lease("projects", "USPM", "run-1")
    with pytest.raises(LegBusy):
        ledger.take_lease("projects", "USPM", "run-3")
    ledger.drop_lease("projects", "USPM", "run-2")
    ledger.take_lease("projects", "USPM", "run-3")


def test_latest_legs_are_the_newest_of_each(ledger: Ledger) -> None:
    ledger.save_leg(leg("run-1"))
    ledger.save_leg(replace(leg("run-2"), started_at=datetime(2026, 3, 2, tzinfo=UTC), state="failed"))
    (newest,) = ledger.latest_legs()
    assert (newest.run_id, newest.state) == ("run-2", "failed")


@pytest.mark.parametrize(
    ("counts", "holds"),
    [
        (LegCounts(planned=4, created=1, updated=1, unchanged=1, waiting=1), True),
        (LegCounts(planned=2, created=1), False),
        (LegCounts(planned=1, created=1, skipped=1), False),
        (LegCounts(rows_read=9), True),
    ],
)
def test_conservation(counts: LegCounts, holds: bool) -> None:
    assert counts.conserved is holds


def _rival(url: str, number: int) -> str:
    ledger = Ledger.open(url)
    try:
        settle(ledger, leg(f"run-{number}", 0), base(1, f"run-{number}"), f"token-{number}")
    except Superseded:
        return "superseded"
    finally:
        ledger.close()
    return f"run-{number}"


def test_of_processes_that_settle_at_once_exactly_one_wins(ledger_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        ends = pool.starmap(_rival, [(ledger_url, number) for number in range(3)])
    assert ends.count("superseded") == 2
    (winner,) = [end for end in ends if end != "superseded"]
    ledger = Ledger.open(ledger_url)
    found = ledger.base("projects", "USPM")
    assert found is not None
    assert found.run_id == winner
    assert ledger.position("projects", "to_finance", "USPM") == f"token-{winner[-1]}"
    ledger.close()


def unit(key: str, expected: int = 0, acknowledged: int = 0, *, complete: bool = False) -> DocumentRecord:
    return DocumentRecord("orders", "USPM", key.casefold(), key, None, "order_lines", expected, acknowledged, complete)


def test_a_unit_is_open_from_its_first_write_until_all_of_it_is_there(ledger: Ledger, clock: Clock) -> None:
    ledger.mark_incomplete([unit("A"), unit("B")], "run-1")
    clock.now += timedelta(minutes=1)
    ledger.settle(Settlement(leg=leg(), documents=[unit("A", 3, 2)]))
    (first, second) = ledger.documents(map_name="orders", incomplete=True)
    assert (first.key, first.expected, first.acknowledged, first.run_id) == ("A", 3, 2, "run-1")
    assert first.since == second.since == clock.now - timedelta(minutes=1)

    clock.now += timedelta(minutes=1)
    done = [unit("A", 3, 3, complete=True)]
    ledger.settle(Settlement(leg=leg("run-2"), documents=done))
    assert [one.key for one in ledger.documents(incomplete=True)] == ["B"]
    (whole,) = ledger.documents(key="A", lines="order_lines", company="USPM")
    assert (whole.complete, whole.since, whole.run_id) == (True, clock.now, "run-2")

    clock.now += timedelta(minutes=1)
    ledger.mark_incomplete([unit("A")], "run-3")
    (again,) = ledger.documents(key="A")
    assert (again.complete, again.expected, again.acknowledged, again.since) == (False, 3, 3, clock.now)

    gone = [("orders", "USPM", "a")]
    ledger.settle(Settlement(leg=leg("run-3"), documents_gone=gone))
    assert [one.key for one in ledger.documents()] == ["B"]


def take_and_die(url: str, clock: Clock) -> None:
    ledger = Ledger.open(url, clock)
    ledger.holder = this_process()
    ledger.take_lease("projects", "USPM", "killed")
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_lease_of_a_process_that_was_killed_on_this_host_is_free(ledger: Ledger, clock: Clock) -> None:
    process = multiprocessing.get_context("fork").Process(target=take_and_die, args=(ledger.url, clock))
    process.start()
    process.join()
    ledger.take_lease("projects", "USPM", "next")
    with pytest.raises(LegBusy, match="dualsync resume next"):
        ledger.take_lease("projects", "USPM", "other")

    # one that lives keeps its lease
    ledger.holder = this_process()
    ledger.take_lease("customers", "USPM", "mine")
    with pytest.raises(LegBusy):
        ledger.take_lease("customers", "USPM", "other")


def test_a_holder_is_told_by_host_number_and_start() -> None:
    host, number, started = this_process().split("|")
    assert not has_ended(this_process())
    assert has_ended(f"{host}|{number}|{float(started) - 60:.2f}")
    assert not has_ended(f"elsewhere|{number}|1.00")
    assert not has_ended("")


def test_a_ledger_of_the_first_shape_is_brought_up_to_date(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with as_file(files("dualsync.ledger") / "migrations") as folder, ledger._engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO leases (map, company, run_id, expires_at) VALUES ('projects', 'USPM', 'old', '2020-01-01')"
            )
        )
    ledger.close()
    newer = Ledger.open(ledger_url)
    newer.mark_incomplete([unit("A")], "run-1")
    newer.take_lease("projects", "USPM", "run-1")
    assert [one.key for one in newer.documents()] == ["A"]
    newer.close()


def test_runs_and_bases_of_earlier_releases_have_the_first_layout(ledger_url: str) -> None:
    ledger = Ledger(ledger_url)
    with as_file(files("dualsync.ledger") / "migrations") as folder, ledger._engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        connection.execute(
            text(
                "INSERT INTO bases (map, company, generation, path, rows, run_id, settled_at) "
                "VALUES ('projects', 'USPM', 1, '/bases/1.parquet', 10, 'old', '2026-03-01')"
            )
        )
    ledger.close()
    newer = Ledger.open(ledger_url)
    (before,) = newer.bases("projects")
    assert (before.generation, before.layout) == (1, 1)
    newer.settle(Settlement(leg=leg("run-2", 1), base=replace(base(2, "run-2"), layout=2)))
    (after,) = newer.bases("projects")
    assert (after.generation, after.layout) == (2, 2)
    newer.close()


def test_a_ledger_of_a_later_release_is_refused_in_words(ledger: Ledger) -> None:
    with ledger._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnknownVersion, match="written by a later release of dualsync"):
        Ledger.open(ledger.url)
