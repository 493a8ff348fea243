"""Subcontracts in a synchronised world, for tests of units: made in Dataverse, looked at in Finance."""

from __future__ import annotations

from typing import Any

from dualsync.ledger import DocumentRecord, OpenRow
from dualsync.sync.run.runs import RunSummary
from dualsync_sandbox.business.dataverse.procurement import subcontracts
from support.cycles import Cycle
from support.purchases import EXPENSE, MATERIAL, SUBCONTRACT, SUBCONTRACT_LINE, TIME, Purchases
from support.worlds import World

MAPS = ("subcontracts", "subcontract_lines", "subcontracts_trigger")
VENDOR = "V-000001"
DRAFT, CONFIRMED = 192350000, 192350001

Api = dict[str, Any]


class Orders:
    """Orders with few words.

    Attributes:
        world: The two systems and dualsync.
        cycle: The same, with people at work.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.cycle = Cycle(world)
        self.buys = Purchases(self.cycle.works)

    # -- in Dataverse

    def draft(self, number: str, lines: int = 3) -> str:
        """A subcontract with lines ``<number>-1`` and so on, not confirmed."""
        works = self.cycle.works
        account = works.one("account", accountnumber=VENDOR, msdyn_company=works.company())["accountid"]
        (project, *_) = works.all("msdyn_project", msdyn_owningcompany=works.company())
        subcontract = self.buys.subcontract(
            project["msdyn_projectid"], msdyn_subcontractnumber=number, msdyn_vendor=account
        )
        for place in range(1, lines + 1):
            self.line(subcontract, f"{number}-{place}")
        return subcontract

    def line(self, subcontract: str, number: str, **values: object) -> str:
        """A line of a subcontract; the classes take turns."""
        of = (TIME, EXPENSE, MATERIAL)[int(number.rpartition("-")[2]) % 3]
        return self.buys.ordered(subcontract, of, "4", "10", msdyn_subcontractlinenumber=number, **values)

    def confirm(self, subcontract: str) -> None:
        """Confirm a subcontract."""
        subcontracts.confirm_subcontract(self.cycle.works.dataverse, subcontract)

    def reopen(self, subcontract: str) -> None:
        """Make a confirmed subcontract a draft again."""
        subcontracts.reopen_subcontract(self.cycle.works.dataverse, subcontract)

    def change(self, number: str, **values: object) -> None:
        """Change a line, given by number."""
        row = self.cycle.works.one(SUBCONTRACT_LINE, msdyn_subcontractlinenumber=number)
        with self.cycle.works.dataverse.transaction() as tx:
            tx.update(SUBCONTRACT_LINE, row[f"{SUBCONTRACT_LINE}id"], values)

    def remove(self, number: str) -> None:
        """Delete a line, given by number."""
        row = self.cycle.works.one(SUBCONTRACT_LINE, msdyn_subcontractlinenumber=number)
        with self.cycle.works.dataverse.transaction() as tx:
            tx.delete(SUBCONTRACT_LINE, row[f"{SUBCONTRACT_LINE}id"])

    def drop(self, number: str) -> None:
        """Delete a subcontract with its lines."""
        row = self.cycle.works.one(SUBCONTRACT, msdyn_subcontractnumber=number)
        with self.cycle.works.dataverse.transaction() as tx:
            tx.delete(SUBCONTRACT, row[f"{SUBCONTRACT}id"])

    # -- what dualsync does

    def sync(self, *maps: str, **words: Any) -> RunSummary:
        """Run headers, lines and triggers of one company; all legs settle."""
        summary = self.world.sync(maps or MAPS, companies=["USPM"], **words)
        assert [leg.message for leg in summary.legs if leg.state not in ("settled", "dry_run")] == []
        return summary

    def open(self) -> dict[str, OpenRow]:
        """Open rows by map and key."""
        return {f"{row.map} {row.key}": row for row in self.world.open_rows()}

    def units(self, number: str) -> dict[str, DocumentRecord]:
        """What the ledger says about a unit, by map of lines."""
        with self.world.runtime() as runtime:
            return {unit.lines: unit for unit in runtime.ledger.documents(map_name="subcontracts", key=number)}

    def counts(self, number: str) -> tuple[tuple[int, int, bool], bool]:
        """Lines expected and acknowledged, whether that is all, and whether the trigger is where it belongs."""
        units = self.units(number)
        lines = units["subcontract_lines"]
        return (lines.expected, lines.acknowledged, lines.complete), units["subcontracts_trigger"].complete

    def written(self) -> list[str]:
        """What was written to Finance since the requests were forgotten: ``POST lines S-1-1`` and the like."""
        shown = []
        for one in self.world.writes():
            if one["system"] == "finance":
                body = one["body"] or {}
                what = "header" if "SubContractPurchaseOrderHeaders" in one["path"] else "line"
                number = body.get("ProjSubContractLineNumber") or body.get("ProjSubContractNumber")
                number = number or one["path"].split("Number='")[1].split("'")[0]
                status = f" {body['SubConStatus']}" if "SubConStatus" in body else ""
                shown.append(f"{one['method']} {what} {number}{status}")
        return shown

    # -- in Finance

    def order(self, number: str) -> Api:
        """The header in Finance, through its API."""
        return self.world.finance_api.one("SubContractPurchaseOrderHeaders", f"ProjSubContractNumber eq '{number}'")

    def state(self, number: str) -> tuple[str, str, dict[str, tuple[int, int]]]:
        """The subcontract's status and that of its order, with quantity and confirmed quantity of each line."""
        header = self.order(number)
        key = f"PurchaseOrderNumber eq '{header['PurchaseOrderNumber']}'"
        order = self.world.finance_api.one("ProjectPurchaseOrders", key)
        lines = self.world.finance_api.rows("ProjectPurchaseOrderLines", key)
        found = {
            str(row["ProjSubContractLineNumber"]): (int(row["Quantity"]), int(row["ConfirmedQuantity"]))
            for row in lines
        }
        return header["SubConStatus"], order["DocumentState"], dict(sorted(found.items()))
