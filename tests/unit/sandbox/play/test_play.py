"""Plays of working days and of single events, on the stores and through command line and control plane."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from dualsync_sandbox import Sandbox
from dualsync_sandbox.business.dataverse.actuals import TABLE
from dualsync_sandbox.business.dataverse.choices import TransactionType
from dualsync_sandbox.cli import app
from dualsync_sandbox.play import EVENTS, NothingToPlay, play, play_event
from dualsync_sandbox.play.purchases import PROCUREMENT
from dualsync_sandbox.play.scene import Scene
from support.project_office import Works

runner = CliRunner()


def played(works: Works, days: int = 3, seed: int = 1) -> Any:
    return play(works.dataverse, works.finance, works.clock, days, seed)


def event(works: Works, name: str, **wanted: Any) -> dict[str, Any]:
    return play_event(works.dataverse, works.finance, works.clock, name, **wanted)


def test_days_are_working_days(works: Works) -> None:
    works.clock.set(datetime(2026, 3, 6, 12, tzinfo=UTC), frozen=True)  # a Friday
    summary = played(works, 3)
    assert summary.days == ("2026-03-06", "2026-03-09", "2026-03-10")
    assert works.clock.now() == datetime(2026, 3, 10, 17, tzinfo=UTC)
    assert played(works, 1).days == ("2026-03-11",)
    with pytest.raises(ValueError, match="one day"):
        played(works, 0)


def test_a_day_has_something_of_everything(works: Works) -> None:
    summary = played(works, 5)
    assert set(summary.events) | set(summary.left_out) == set(EVENTS) - {"approve-expenses"}
    assert summary.left_out["post-expense"] == 15  # Finance knows no project before a synchronisation
    assert summary.actuals == len(works.all(TABLE)) > 150
    assert {row["msdyn_transactiontypecode"] for row in works.all(TABLE)} == set(TransactionType) - {
        TransactionType.PROJECT_CONTRACT
    }
    companies = {works.code(row["msdyn_owningcompany"]) for row in works.all(TABLE)}
    assert companies == {"USPM", "GBPM", "FRRT"}
    assert json.loads(json.dumps(summary.as_dict()))["seed"] == 1


def test_the_same_seed_plays_the_same_days(tmp_path: Path) -> None:
    told = []
    for name, seed in (("one", 4), ("two", 4), ("three", 5)):
        sandbox = Sandbox(tmp_path / name)
        sandbox.clock.set(datetime(2026, 3, 2, 9, tzinfo=UTC), frozen=True)
        sandbox.seed("demo", 1)
        sandbox.play(2, seed)
        with sandbox.dataverse_store.reading() as tx:
            columns = ("msdyn_actualid", "msdyn_actualimportid", "msdyn_amount", "msdyn_project", "msdyn_documentdate")
            told.append([[row[column] for column in columns] for row in tx.scan(TABLE)])
        sandbox.stop()
    assert told[0] == told[1] != told[2]


def test_work_is_on_open_leaf_tasks(works: Works) -> None:
    """Rules [C9, C11]."""
    played(works)
    parents = {row["msdyn_parenttask"] for row in works.all("msdyn_projecttask")}
    rows = [*works.all("msdyn_timeentry"), *works.all("msdyn_materialusagelog")]
    assert len(rows) > 20
    for row in rows:
        assert (row.get("msdyn_projecttask") or row.get("msdyn_task")) not in parents
        assert works.one("msdyn_project", msdyn_projectid=row["msdyn_project"])["statecode"] == 0


def test_nothing_is_lost_or_won(works: Works) -> None:
    """Reversals are the opposite of their originals; what stands of an entry is what was approved [E6, R10, R11]."""
    played(works, 5)
    actuals = {row["msdyn_actualid"]: row for row in works.all(TABLE)}
    originals: dict[object, list[Any]] = defaultdict(list)
    for row in works.all("msdyn_transactionconnection"):
        if row["msdyn_transaction1role"] == "Reversing":
            originals[row["msdyn_transaction2"]].append(row["msdyn_transaction1"])
    invoiced = {key for key in originals if actuals[key]["msdyn_billingstatus"] == 192350002}  # [E9]: not adjusted
    adjusted = {key for key, row in actuals.items() if row["msdyn_adjustmentstatus"] == 192350001} | invoiced
    reversals = {key for key, row in actuals.items() if row["msdyn_adjustmentstatus"] == 192350002}
    assert adjusted == set(originals)
    assert reversals == {key for keys in originals.values() for key in keys}
    for key, made in originals.items():
        assert len(made) == 1
        for column in ("msdyn_quantity", "msdyn_amount", "msdyn_amount_base"):
            assert actuals[key][column] == -actuals[made[0]][column]
        for column in ("msdyn_owningcompany", "transactioncurrencyid", "msdyn_project"):
            assert actuals[key][column] == actuals[made[0]][column]
        unbilled_on_invoice = actuals[made[0]]["msdyn_billingstatus"] == 192350002 and not actuals[key]["msdyn_invoice"]
        assert actuals[made[0]]["msdyn_skipsync"] is (True if unbilled_on_invoice else actuals[key]["msdyn_skipsync"])
    standing = [row for row in actuals.values() if row["msdyn_adjustmentstatus"] is None]
    cost: dict[object, Decimal] = defaultdict(Decimal)
    for row in standing:
        if row["msdyn_transactiontypecode"] == TransactionType.COST and row["msdyn_origin"]:
            cost[row["msdyn_origin"]] += row["msdyn_quantity"]
    for entry in works.all("msdyn_timeentry"):
        approved = entry["msdyn_entrystatus"] == 192350002
        hours = Decimal(entry["msdyn_duration"]) / 60
        assert cost[entry["msdyn_timeentryid"]] == (hours if approved else 0)


def test_amounts_are_quantity_times_price_to_the_cent(works: Works) -> None:
    played(works, 5)
    for row in works.all(TABLE):
        assert abs(row["msdyn_amount"] - row["msdyn_quantity"] * row["msdyn_price"]) <= Decimal("0.01")
        assert row["msdyn_amount"] == row["msdyn_amount"].quantize(Decimal("0.01"))


BEFORE = {
    "use-retainer": "retainer",
    "approve": "submit-time",
    "confirm-contract": "tie-contract",
    "cancel-approval": "approve-time",
    "correction-journal": "approve-time",
    "mark-ready": "approve-time-reduced",
    "create-proforma": "mark-ready",
    "edit-proforma": "create-proforma",
    "confirm-proforma": "create-proforma",
    "correct-invoice": "confirm-proforma",
}
"""The event that makes what another one needs."""
OF_FINANCE = {
    "credit-milestone",
    "import-from-staging",
    "post-journal",
    "post-expense",
    "post-proposal",
    "post-intercompany-invoice",
}


def before(name: str) -> list[str]:
    """Everything that has to happen first, in its order."""
    earlier = BEFORE.get(name)
    return [*before(earlier), earlier] if earlier else []


@pytest.mark.parametrize("name", sorted(set(EVENTS) - OF_FINANCE - set(PROCUREMENT)))
def test_every_event_can_be_played_by_itself(works: Works, name: str) -> None:
    for earlier in before(name):
        event(works, earlier, company="uspm")
    facts = event(works, name, company="uspm")
    assert (facts["event"], facts["company"]) == (name, "USPM")
    assert len(facts) > 2


def test_a_milestone_is_credited_once_finance_has_posted_it(works: Works) -> None:
    """What a customer invoice from Finance has set to Posted [E13]."""
    for name in ("milestone-ready", "create-proforma", "confirm-proforma"):
        number = event(works, name).get("invoice")
    with pytest.raises(NothingToPlay, match="to correct"):
        event(works, "credit-milestone")
    invoice = works.one("invoice", invoicenumber=number)
    with works.dataverse.transaction() as tx:
        posted = {"msdyn_customerinvoicenumber": "CIV-1", "msdyn_owningcompany": invoice["msdyn_company"]}
        tx.insert("msdyn_customerinvoice", posted | {"msdyn_invoice": invoice["invoiceid"]})
    facts = event(works, "credit-milestone")
    (reversal,) = [works.one(TABLE, msdyn_actualid=actual) for actual in facts["actuals"]]
    assert reversal["msdyn_amount"] == -invoice["totalamount"]


def test_an_event_on_a_project(works: Works) -> None:
    scene = Scene(works.dataverse, works.finance, works.clock, random.Random(1), "1")
    site = next(site for site in scene.sites("GBPM") if site.billable)
    facts = event(works, "approve-time-reduced", company="GBPM", project=site.number)
    rows = works.actuals(site.id)
    assert facts["project"] == site.number
    assert [row["msdyn_actualid"] for row in rows] == facts["actuals"]
    charged = [row["msdyn_quantity"] for row in rows if row["msdyn_billingtype"] == 192350001]
    assert sum(charged) == facts["billable"] < facts["hours"]


def test_the_same_event_twice_is_not_the_same_twice(works: Works) -> None:
    first, second = event(works, "approve-time"), event(works, "approve-time")
    assert first["entry"] != second["entry"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("use-retainer", {}),
        ("approve-time", {"project": "PRJ-none"}),
        ("approve-time", {"company": "NONE"}),
        ("post-expense", {}),
    ],
)
def test_an_event_without_what_it_needs(works: Works, name: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(NothingToPlay, match="There is no"):
        event(works, name, **wanted)


def test_an_unknown_event(works: Works) -> None:
    with pytest.raises(ValueError, match="none of"):
        event(works, "dance")


def known_to_finance(works: Works, number: str) -> None:
    """What the integration would have carried over before an expense can be posted."""
    category = works.one("msdyn_transactioncategory", msdyn_name="Travel")
    with works.finance.transaction() as tx:
        tx.insert(
            "ProjectTransactionCategories",
            {"CategoryId": category["msdyn_transactioncategorynumber"], "Name": category["msdyn_name"]},
        )
        tx.insert("ProjectsV2", {"dataAreaId": "uspm", "ProjectId": number, "ProjectName": "Pump station"})


def test_an_expense_is_posted_where_finance_knows_the_project(works: Works) -> None:
    """Its export waits for the integration [I2]."""
    number = str(works.one("msdyn_project", msdyn_projectid=works.project())["msdyn_projectnumber"])
    known_to_finance(works, number)
    facts = event(works, "post-expense", project=number)
    with works.finance.reading() as tx:
        (row,) = tx.find("ProjExpensesExport", ProjId=number)
    assert facts["project"] == number
    assert row["Amount"] == facts["amount"]


# -- from outside


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("play")) as running:
        running.seed("demo", 1)
        yield running


def test_the_control_plane_plays(sandbox: Sandbox) -> None:
    control = sandbox.info["control"]
    before = sandbox.clock.now()
    summary = httpx.post(f"{control}/play", json={"days": 1, "seed": 2}, timeout=60).json()
    assert summary["actuals"] > 0
    assert sandbox.clock.now() - before < timedelta(days=4)
    facts = httpx.post(f"{control}/play/event", json={"name": "approve-time", "company": "FRRT"}, timeout=60).json()
    assert facts["company"] == "FRRT"
    assert facts["actuals"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/play", {"days": "two"}, 400),
        ("/play", {"days": 0}, 400),
        ("/play/event", {"name": "dance"}, 400),
        ("/play/event", {"name": "approve-time", "project": 5}, 400),
        ("/play/event", {"name": "approve-time", "project": "PRJ-none"}, 409),
    ],
)
def test_the_control_plane_says_what_is_wrong(sandbox: Sandbox, path: str, body: dict[str, Any], status: int) -> None:
    answer = httpx.post(f"{sandbox.info['control']}{path}", json=body, timeout=60)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_switches_through_the_control_plane(sandbox: Sandbox) -> None:
    """Rules [E22, I3]."""
    url = f"{sandbox.info['control']}/switches"
    assert httpx.put(url, json={"protect_actuals": True}).json()["protect_actuals"] is True
    assert httpx.get(url).json() == {
        "approve_expenses": True,
        "protect_actuals": True,
        "protect_vendor_invoices": False,
        "integration_user": False,
        "vendor_accounts": True,
    }
    assert httpx.put(url, json={"dance": True}).status_code == 400
    sandbox.switches.reset()
    assert httpx.get(url).json()["protect_actuals"] is False


def test_the_command_line_asks_a_running_sandbox(sandbox: Sandbox) -> None:
    state = ["--state", str(sandbox.state_dir)]
    result = runner.invoke(app, ["play-event", "approve-material", "--company", "GBPM", *state])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["company"] == "GBPM"
    refused = runner.invoke(app, ["play-event", "approve-time", "--project", "PRJ-none", *state])
    assert refused.exit_code == 1
    assert "PRJ-none" in refused.stderr


def test_the_command_line_plays_on_the_stores(tmp_path: Path) -> None:
    state = ["--state", str(tmp_path)]
    assert runner.invoke(app, ["seed", "--projects", "24", *state]).exit_code == 0
    result = runner.invoke(app, ["play", "--days", "1", "--seed", "3", *state])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["actuals"] > 0
    one = runner.invoke(app, ["play-event", "retainer", *state])
    assert json.loads(one.stdout)["event"] == "retainer"
    assert runner.invoke(app, ["play-event", "confirm-contract", "--company", "NONE", *state]).exit_code == 1
    assert runner.invoke(app, ["play-event", "dance", *state]).exit_code == 2
