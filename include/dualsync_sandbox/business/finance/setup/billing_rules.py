"""A contract line becomes a billing rule; its billing method decides the type of the rule [C3]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualsync_sandbox.store import Event, Row, Store, Tx

RULE_TYPES = {"TimeMaterial": "TimeMaterial", "FixedPrice": "Milestone"}
"""``BillingRules.BillingRuleType`` by ``ProjectContractLines.BillingMethod``."""


def billing_rule(line: Row) -> Row:
    """Return the billing rule of a contract line; that it goes by the line's own id is assumed."""
    line_id = str(line.get("ContractLineId") or "") or f"{line['ProjectContractId']}-{line['LineSequenceNumber']}"
    return {
        "dataAreaId": line["dataAreaId"],
        "BillingRuleId": line_id[-20:],
        "ProjectContractId": line["ProjectContractId"],
        "ContractLineId": line.get("ContractLineId") or "",
        "LineSequenceNumber": line["LineSequenceNumber"],
        "Description": line.get("Description") or "",
        "BillingRuleType": RULE_TYPES[str(line.get("BillingMethod") or "FixedPrice")],
    }


def _standing(tx: Tx, rule: Row) -> Row | None:
    keys = ("dataAreaId", "ProjectContractId", "LineSequenceNumber")
    rows: list[Row] = tx.find("BillingRules", **{key: rule[key] for key in keys})
    return rows[0] if rows else None


def _follow(tx: Tx, event: Event) -> None:
    line = event.after or event.before
    assert line is not None
    rule = billing_rule(line)
    standing = _standing(tx, rule)
    if event.after is None:
        if standing is not None:
            tx.delete("BillingRules", standing["RecId"])
    elif standing is None:
        tx.insert("BillingRules", rule)
    else:
        changes = {
            name: value for name, value in rule.items() if name != "BillingRuleId" and standing.get(name) != value
        }
        if changes:
            tx.update("BillingRules", standing["RecId"], changes)


def install(finance: Store) -> None:
    """Register the rule with Finance."""
    finance.on("ProjectContractLines", {"create", "update", "delete"}, _follow)
