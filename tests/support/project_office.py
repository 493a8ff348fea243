"""A quick hand in Dataverse's project business: contracts, projects and entries with few words."""

from dataclasses import dataclass
from decimal import Decimal

from dualsync_sandbox.business import Switches
from dualsync_sandbox.business.dataverse.choices import BillingMethod, TransactionClass, TransactionType
from dualsync_sandbox.business.dataverse.entries.approvals import submit
from dualsync_sandbox.clock import Clock
from dualsync_sandbox.store import Row, Store

SPLIT = "msdyn_projectcontractsplitbillingrule"


@dataclass
class Works:
    """Makes contracts, projects and entries with few words, and reads actuals back."""

    dataverse: Store
    finance: Store
    clock: Clock
    switches: Switches

    # -- looking up

    def one(self, table: str, **equals: object) -> Row:
        with self.dataverse.reading() as tx:
            row = tx.find_one(table, **equals)
        assert row is not None, (table, equals)
        return row

    def all(self, table: str, **equals: object) -> list[Row]:
        with self.dataverse.reading() as tx:
            return tx.find(table, **equals)

    def company(self, code: str = "USPM") -> str:
        return str(self.one("cdm_company", cdm_companycode=code)["cdm_companyid"])

    def currency(self, code: str = "USD") -> str:
        return str(self.one("transactioncurrency", isocurrencycode=code)["transactioncurrencyid"])

    def role(self, name: str = "Consultant") -> str:
        return str(self.one("bookableresourcecategory", name=name)["bookableresourcecategoryid"])

    def category(self, name: str) -> str:
        return str(self.one("msdyn_transactioncategory", msdyn_name=name)["msdyn_transactioncategoryid"])

    def unit(self, code: str = "USPM") -> str:
        return str(self.one("msdyn_organizationalunit", msdyn_company=self.company(code))["msdyn_organizationalunitid"])

    def resource(self, code: str = "USPM") -> str:
        """A worker at home in a company."""
        return str(self.one("bookableresource", msdyn_organizationalunit=self.unit(code))["bookableresourceid"])

    def iso(self, currency_id: object) -> str:
        return str(self.one("transactioncurrency", transactioncurrencyid=currency_id)["isocurrencycode"])

    def code(self, company_id: object) -> str:
        return str(self.one("cdm_company", cdm_companyid=company_id)["cdm_companycode"])

    # -- making

    def contract(self, code: str = "USPM", currency: str = "USD", *, draft: bool = False) -> str:
        with self.dataverse.transaction() as tx:
            account = tx.find("account", msdyn_company=self.company(code))[0]
            row = tx.insert(
                "salesorder",
                {
                    "name": "Pump station upgrade",
                    "customerid": account["accountid"],
                    "customerid@type": "account",
                    "transactioncurrencyid": self.currency(currency),
                    "msdyn_company": self.company(code),
                    "msdyn_contractorganizationalunitid": self.unit(code),
                    "msdyn_ordertype": 192350001,
                    "msdyn_psastate": 192350000 if draft else 192350002,
                    "msdyn_psastatusreason": 192350000 if draft else 192350003,
                },
            )
        return str(row["salesorderid"])

    def line(self, contract: str, project: str, method: BillingMethod) -> str:
        with self.dataverse.transaction() as tx:
            row = tx.insert(
                "salesorderdetail",
                {
                    "salesorderid": contract,
                    "salesorderdetailname": "Line 1",
                    "producttypecode": 5,
                    "propertyconfigurationstatus": 2,
                    "msdyn_linetype": 690970000,
                    "productdescription": "Line 1",
                    "sequencenumber": 1,
                    "msdyn_project": project,
                    "msdyn_billingmethod": method,
                    "msdyn_includetime": True,
                    "msdyn_includeexpense": True,
                    "msdyn_includematerial": True,
                    "msdyn_includefee": True,
                    "transactioncurrencyid": self.one("salesorder", salesorderid=contract)["transactioncurrencyid"],
                    "msdyn_company": self.one("salesorder", salesorderid=contract)["msdyn_company"],
                },
            )
        return str(row["salesorderdetailid"])

    def internal(self, code: str = "USPM") -> str:
        """A project without a contract, with a parent task and a leaf below it."""
        currency = {"USPM": "USD", "GBPM": "GBP"}.get(code, "EUR")
        with self.dataverse.transaction() as tx:
            project = tx.insert(
                "msdyn_project",
                {
                    "msdyn_subject": "Pump station",
                    "msdyn_owningcompany": self.company(code),
                    "msdyn_contractorganizationalunitid": self.unit(code),
                    "transactioncurrencyid": self.currency(currency),
                },
            )
            of_project = {"msdyn_project": project["msdyn_projectid"], "msdyn_owningcompany": self.company(code)}
            above = tx.insert("msdyn_projecttask", {**of_project, "msdyn_subject": "Delivery", "msdyn_outlinelevel": 1})
            tx.insert(
                "msdyn_projecttask",
                {
                    **of_project,
                    "msdyn_subject": "Install equipment",
                    "msdyn_outlinelevel": 2,
                    "msdyn_parenttask": above["msdyn_projecttaskid"],
                    "msdyn_start": "2026-03-02T08:00:00Z",
                    "msdyn_finish": "2026-04-30T17:00:00Z",
                },
            )
        return str(project["msdyn_projectid"])

    def project(
        self,
        method: BillingMethod = BillingMethod.TIME_AND_MATERIAL,
        *,
        code: str = "USPM",
        currency: str = "USD",
        draft: bool = False,
    ) -> str:
        """A project on a contract with one line."""
        contract = self.contract(code, currency, draft=draft)
        project = self.internal(code)
        self.line(contract, project, method)
        return project

    def milestone(self, project: str, amount: str, name: str = "Milestone") -> str:
        """A milestone of the project's contract line, not ready to invoice."""
        line = self.one("salesorderdetail", msdyn_project=project)
        with self.dataverse.transaction() as tx:
            row = tx.insert(
                "msdyn_contractlinescheduleofvalue",
                {
                    "msdyn_name": name,
                    "msdyn_amount": Decimal(amount),
                    "transactioncurrencyid": line["transactioncurrencyid"],
                    "msdyn_contract": line["salesorderid"],
                    "msdyn_contractlineid": line["salesorderdetailid"],
                    "msdyn_project": project,
                    "msdyn_projecttask": self.leaf(project),
                    "msdyn_owningcompany": line["msdyn_company"],
                    "msdyn_invoicedate": "2026-03-02",
                    "msdyn_milestonedate": "2026-03-02",
                    "msdyn_invoicestatus": 192350000,
                    "msdyn_transactionclassification": 192350003,
                    "msdyn_transactiontypecode": 192350005,
                },
            )
        return str(row["msdyn_contractlinescheduleofvalueid"])

    def contract_of(self, project: str) -> str:
        return str(self.one("msdyn_project", msdyn_projectid=project)["msdyn_salesorderid"])

    def line_of(self, project: str) -> str:
        return str(self.one("salesorderdetail", msdyn_project=project)["salesorderdetailid"])

    def leaf(self, project: str) -> str:
        return str(self.one("msdyn_projecttask", msdyn_project=project, msdyn_outlinelevel=2)["msdyn_projecttaskid"])

    def share_the_bill(self, project: str, *percents: str) -> list[str]:
        """Let the contract's customers bear these percentages, adding customers as needed."""
        contract = self.contract_of(project)
        with self.dataverse.transaction() as tx:
            rules = tx.find(SPLIT, msdyn_contract=contract)
            accounts = tx.find("account", msdyn_company=rules[0]["msdyn_owningcompany"])
            for account in accounts[1 : len(percents)]:
                added = {
                    "msdyn_contract": contract,
                    "msdyn_contractcustomer": account["accountid"],
                    "msdyn_contractcustomer@type": "account",
                    "msdyn_owningcompany": rules[0]["msdyn_owningcompany"],
                }
                rules.append(tx.insert(SPLIT, added))
            for rule, percent in zip(rules, percents, strict=True):
                tx.update(SPLIT, rule[f"{SPLIT}id"], {"msdyn_splitpercentage": Decimal(percent)})
        return [str(rule[f"{SPLIT}id"]) for rule in rules]

    def time(self, project: str, hours: str = "8", *, send: bool = True, **values: object) -> str:
        """A time entry of a consultant on the leaf task, submitted."""
        with self.dataverse.transaction() as tx:
            row = tx.insert(
                "msdyn_timeentry",
                {
                    "msdyn_description": "On site",
                    "msdyn_date": "2026-03-02",
                    "msdyn_duration": int(Decimal(hours) * 60),
                    "msdyn_entrystatus": 192350000,
                    "msdyn_bookableresource": self.resource(),
                    "msdyn_resourcecategory": self.role(),
                    "msdyn_project": project,
                    "msdyn_projecttask": self.leaf(project),
                    **values,
                },
            )
        entry = str(row["msdyn_timeentryid"])
        if send:
            submit(self.dataverse, TransactionClass.TIME, entry)
        return entry

    def material(self, project: str, pieces: str = "4", product: str = "P-1001") -> str:
        """A usage of material, submitted."""
        with self.dataverse.transaction() as tx:
            row = tx.insert(
                "msdyn_materialusagelog",
                {
                    "msdyn_date": "2026-03-02",
                    "msdyn_quantity": Decimal(pieces),
                    "msdyn_product": self.one("product", msdyn_productnumber=product)["productid"],
                    "msdyn_transactioncategory": self.category("Materials"),
                    "msdyn_project": project,
                    "msdyn_task": self.leaf(project),
                    "msdyn_approvalstatus": 192350000,
                },
            )
        entry = str(row["msdyn_materialusagelogid"])
        submit(self.dataverse, TransactionClass.MATERIAL, entry)
        return entry

    def expense_category(self, code: str = "USPM", category: str = "Travel") -> str:
        with self.dataverse.transaction() as tx:
            row = tx.find_one(
                "msdyn_expensecategory", msdyn_expensecategorynumber=category, msdyn_company=self.company(code)
            ) or tx.insert(
                "msdyn_expensecategory",
                {
                    "msdyn_name": category,
                    "msdyn_expensecategorynumber": category,
                    "msdyn_transactioncategory": self.category(category),
                    "msdyn_company": self.company(code),
                },
            )
        return str(row["msdyn_expensecategoryid"])

    def expense(self, project: str, amount: str = "250", *, currency: str = "USD", **values: object) -> str:
        """An expense that somebody entered in Dataverse, submitted."""
        owner = self.one("msdyn_project", msdyn_projectid=project)["msdyn_owningcompany"]
        given: Row = {
            "msdyn_name": "Train ticket",
            "msdyn_transactiondate": "2026-03-02",
            "msdyn_quantity": Decimal(1),
            "msdyn_amount": Decimal(amount),
            "transactioncurrencyid": self.currency(currency),
            "msdyn_project": project,
            "msdyn_task": self.leaf(project),
            "msdyn_owningcompany": owner,
            "msdyn_expensestatus": 192350001,
            **values,
        }
        given.setdefault("msdyn_expensecategory", self.expense_category(self.code(owner)))
        with self.dataverse.transaction() as tx:
            row = tx.insert("msdyn_expense", given)
        return str(row["msdyn_expenseid"])

    # -- reading

    def actuals(self, project: str, kind: TransactionType | None = None) -> list[Row]:
        rows = self.all("msdyn_actual", msdyn_project=project)
        return [row for row in rows if kind is None or row["msdyn_transactiontypecode"] == kind]

    def connections(self) -> set[tuple[object, ...]]:
        ends = ("msdyn_transaction1", "msdyn_transaction1role", "msdyn_transaction2", "msdyn_transaction2role")
        return {tuple(row[name] for name in ends) for row in self.all("msdyn_transactionconnection")}
