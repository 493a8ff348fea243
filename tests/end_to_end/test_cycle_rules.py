"""Business rules that need more than the row: what they find, where it is told, and that warnings hold nothing back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dualsync.repair.explain import explain
from dualsync.sync.run.runs import RunSummary
from dualsync_sandbox.business.dataverse.choices import TransactionClass
from dualsync_sandbox.business.dataverse.entries.approvals import approve_time, cancel_approval
from dualsync_sandbox.business.dataverse.estimates import add_estimate
from dualsync_sandbox.store import Row
from support.commands import dualsync
from support.cycles import CONTRACTS, Cycle
from support.paths import MAPS
from support.worlds import leg

pytestmark = pytest.mark.slow

US = {"companies": ["USPM"]}


@dataclass
class Story:
    """A run with rows that break each rule, beside rows that break none."""

    summary: RunSummary
    rows: dict[str, list[Row]] = field(default_factory=dict)
    explained: list[dict[str, Any]] = field(default_factory=list)


def said(summary: RunSummary, name: str) -> set[str]:
    """The remarks of a leg of the American company."""
    return set(leg(summary, name, "USPM").message.split("; ")) - {""}


def findings(summary: RunSummary, name: str) -> dict[str, Any]:
    """What the validate step of a leg left behind."""
    content: dict[str, Any] = json.loads((Path(leg(summary, name, "USPM").folder) / "validate.json").read_text())
    return content


@pytest.fixture(scope="module")
def story(shared: Cycle) -> Story:
    """February is closed, a reversal is tampered with, an estimate is of a category that no company spends on."""
    works = shared.works
    store = works.dataverse
    project = works.project()
    shared.sync(*CONTRACTS, **US)
    with works.finance.transaction() as tx:
        for period in tx.find("FiscalPeriods", dataAreaId="uspm", StartDate="2026-02-01"):
            tx.update("FiscalPeriods", period["RecId"], {"Status": "Closed"})
    sent = works.time(project)
    rows = {"sent": approve_time(store, sent)}
    shared.sync("actuals", **US)
    cancel_approval(store, TransactionClass.TIME, sent)
    entries = [works.time(project) for _ in range(2)]
    rows["early"] = approve_time(store, works.time(project, msdyn_date="2026-02-10"))
    for entry in entries:
        approve_time(store, entry)
        cancel_approval(store, TransactionClass.TIME, entry)
    reversals = [row for row in works.actuals(project) if row["msdyn_adjustmentstatus"] == 192350002]
    odd = [reversals[0], reversals[-1]]
    with store.transaction() as tx:
        tx.update("msdyn_actual", odd[0]["msdyn_actualid"], {"msdyn_amount": Decimal(-1)})
        tx.update("msdyn_actual", odd[1]["msdyn_actualid"], {"msdyn_quantity": Decimal(-7)})
    rows["odd"] = odd
    given: dict[str, Any] = {"quantity": Decimal(3), "price": Decimal(90)}
    for name in ("Travel", "Consulting"):
        rows[name] = add_estimate(
            store, TransactionClass.EXPENSE, project, works.leaf(project), category_id=works.category(name), **given
        )
    shared.finance.delete(
        "LineProperties(dataAreaId='uspm',BillingType=Microsoft.Dynamics.DataEntities.ProjBillingType'Complimentary')"
    )
    with store.transaction() as tx:
        tx.update("msdyn_estimateline", rows["Travel"][1]["msdyn_estimatelineid"], {"msdyn_billingtype": 192350002})
    told = Story(shared.sync("actuals", "expense_estimates", **US), rows)
    with shared.world.runtime() as runtime:
        told.explained = explain(runtime, "actuals", str(rows["early"][0]["msdyn_actualimportid"]), "USPM")
    return told


def test_what_breaks_a_rule_travels_and_is_told(shared: Cycle, story: Story) -> None:
    """A reversal that is not its original's opposite, by plan and by base; a date in a closed period [R10, G6]."""
    assert leg(story.summary, "actuals", "USPM").counts.created == 12
    assert said(story.summary, "actuals") == {
        "2 rows against actuals.open_period",
        "2 rows against actuals.quantity_times_price",
        "2 rows against actuals.reversal_of_original",
    }
    assert findings(story.summary, "actuals")["not_run"] == {}
    assert shared.world.open_rows() == []
    for row in story.rows["odd"]:
        assert shared.staged(row)["AdjustmentStatus"] == 192350002


def test_a_rule_of_an_estimate(shared: Cycle, story: Story) -> None:
    """No expense category of the company for the category [D4]; a billing type without line property [A2, G10]."""
    assert leg(story.summary, "expense_estimates", "USPM").counts.created == 4
    assert said(story.summary, "expense_estimates") == {
        "2 rows against expense_estimates.category_of_company",
        "1 row against expense_estimates.line_property",
    }
    number = shared.number(str(story.rows["odd"][0]["msdyn_project"]))
    assert len(shared.finance.rows("ProjEstimateExpensesImports", f"ProjectId eq '{number}'")) == 4


def test_a_record_knows_the_rules_it_breaks(story: Story) -> None:
    (one,) = story.explained
    (plan,) = [plan for plan in one["plans"] if plan["direction"] == "to_finance"]
    assert plan["action"] == "create"
    assert plan["broken"] == [
        {
            "rule": "actuals.open_period",
            "severity": "warning",
            "reason": "the accounting date lies in no open period; Finance moves it to the next one, or posting fails",
        }
    ]


def test_a_rule_without_its_set_is_not_run(shared: Cycle, story: Story) -> None:
    """A tenant that does not show the set under this name: the rule is never taken for fulfilled."""
    assert story.rows
    works = shared.works
    folder = shared.world.home / "maps"
    folder.mkdir()
    text = (MAPS / "estimates_actuals" / "actuals.yaml").read_text(encoding="utf-8")
    changes = {"finance: LineProperties": "finance: ProjLinePropertiesOfMine", "filter: Status": "filter: PeriodStatus"}
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "actuals.yaml").write_text(text, encoding="utf-8")
    try:
        checked = dualsync(shared.world, "maps", "check", "--live").out
        approve_time(works.dataverse, works.time(works.project(), msdyn_date="2026-02-11"))
        summary = shared.sync(*CONTRACTS, "actuals", **US)
    finally:
        (folder / "actuals.yaml").unlink()
    assert leg(summary, "actuals", "USPM").counts.created == 2
    assert said(summary, "actuals") == {
        "actuals.line_property was not run: Finance has no public entity ProjLinePropertiesOfMine",
        "actuals.open_period was not run: Finance entity FiscalPeriods has no column PeriodStatus",
    }
    assert findings(summary, "actuals")["failures"] == {"critical": 0, "warning": 0}
    for rule in ("line_property", "open_period"):
        assert f"warning: the rule {rule} will not run: Finance" in checked
    assert "2 findings" in checked
