"""What the check of table maps finds: one mistake planted at a time into a copy of a real map."""

from pathlib import Path

import pytest

from dualsync.mapping import Catalog, Schema
from dualsync.mapping.checks import Finding, check_catalog
from support.paths import MAPS


def check(folder: Path, name: str, *changes: tuple[str, str]) -> list[Finding]:
    text = next(MAPS.rglob(f"{name}.yaml")).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return check_catalog(Catalog.load(folder), Schema.load())


@pytest.mark.parametrize(
    ("name", "old", "new", "severity", "expected"),
    [
        ("projects", "finance: ProjectName", "finance: ProjctName", "warning", "did you mean 'ProjectName'?"),
        ("projects", "dataverse: msdyn_subject", "dataverse: msdyn_subjct", "warning", "did you mean 'msdyn_subject'?"),
        ("projects", "set: msdyn_projects", "set: msdyn_project", "error", "should be 'msdyn_projects'"),
        ("projects", "key: [ProjectId]", "key: [ProjectName]", "error", "pairs msdyn_projectnumber with ProjectName"),
        (
            "projects",
            "company: msdyn_owningcompany.cdm_companycode",
            "company: msdyn_customer.cdm_companycode",
            "error",
            "msdyn_customer does not point to cdm_company",
        ),
        (
            "projects",
            "values: {0: InProcess, 1: Completed}",
            "values: {0: InProces, 1: Completed}",
            "error",
            "'InProces' is no value of ProjectStage",
        ),
        (
            "projects",
            "values: {0: InProcess, 1: Completed}",
            "values: {0: InProcess, 7: Completed}",
            "error",
            "7 is no value of statecode",
        ),
        ("projects", "values: {0: InProcess, 1: Completed}, ", "", "error", "the pair needs values"),
        ("projects", "way: to_finance, date: date_only", "way: to_finance", "error", "one side has a time of day"),
        ("projects", "map: customers_v3", "map: workers", "error", "points to account, not to cdm_worker"),
        (
            "projects",
            "on: {ordernumber: ProjectContractId, company: dataAreaId}",
            "on: {ordernumber: ProjectContractId}",
            "error",
            "say where the parent's comes from",
        ),
        (
            "projects",
            "on: {ordernumber: ProjectContractId",
            "on: {ordernumbr: ProjectContractId",
            "error",
            "neither a column nor a key path 'ordernumbr'",
        ),
        (
            "projects",
            "finance: ProjectId, way: to_finance",
            "finance: ProjectId, way: to_dataverse",
            "error",
            "rows are created to Finance, but msdyn_projectnumber does not go there",
        ),
        (
            "contract_headers",
            "filter: msdyn_ordertype",
            "filter: msdyn_ordertyp",
            "error",
            "no column 'msdyn_ordertyp'",
        ),
        (
            "contract_headers",
            "map: currencies\n    on: {isocurrencycode: SalesCurrencyCode}",
            "map: currencies\n    on: {isocurrencycode: SalesCurrencyCode, company: dataAreaId}",
            "error",
            "has no company",
        ),
        (
            "contract_headers",
            "contact: {map: customer_contacts",
            "contact: {map: payment_terms",
            "error",
            "payment_terms is the map of msdyn_paymentterm, not of contact",
        ),
        (
            "contract_lines",
            "key: [ProjectContractId, LineSequenceNumber]",
            "key: [ProjectContractId, ContractLineId]",
            "error",
            "the entity's key is",
        ),
        (
            "contract_lines",
            "company: salesorderid.msdyn_company",
            "company: salesorderid.msdyn_owningcompany",
            "error",
            "contract_headers has its company at msdyn_company.cdm_companycode",
        ),
        ("funding_sources", "constant: Customer", "constant: Client", "error", "'Client' is no value of FundingType"),
        (
            "milestones",
            "ordered_by: contract_lines",
            "ordered_by: currencies",
            "error",
            "currencies does not bring contract_headers first",
        ),
        (
            "exchange_rates",
            "      msdyn_currencyexchangeratetypeid.msdyn_name: ExchangeRateTypeName\n    way",
            "    way",
            "error",
            "does not name one record",
        ),
        ("ledgers", "order: 3", "order: 1", "error", "legal_entities must come first"),
        ("customers_v3", "set: accounts", "set: accountz", "error", "should be 'accounts'"),
        (
            "actuals",
            "msdyn_subcontractlinenumber: SubcontractLine",
            "msdyn_subcontractlinenumber: SubcontractLin",
            "warning",
            "did you mean 'SubcontractLine'?",
        ),
        (
            "actuals",
            "numbers: [Quantity, Amount]",
            "numbers: [Quantity, Amont]",
            "error",
            "Amont is not written to Finance",
        ),
        (
            "vendor_invoice_lines",
            "key: [ProjTransId]",
            "key: [Description]",
            "error",
            "the entity's key is ProjDataAreaId, ProjTransId",
        ),
        (
            "vendor_invoices_v2",
            "column: accountnumber, company: msdyn_company}",
            "column: accountnumber}",
            "error",
            "say which column of accounts holds the company",
        ),
        (
            "vendor_invoices_v2",
            "column: accountnumber,",
            "column: name,",
            "error",
            "no field or lookup pairs msdyn_vendor.accountnumber with InvoiceAccount",
        ),
        ("actuals", "_when: msdyn_skipsync", "_when: msdyn_skipsinc", "error", "did you mean 'msdyn_skipsync'?"),
        ("actuals", "dated_by: msdyn_documentdate", "dated_by: msdyn_amount", "error", "is a decimal, not a date"),
        ("actuals", "dated_by: msdyn_documentdate", "dated_by: msdyn_docdate", "error", "no column 'msdyn_docdate'"),
        (
            "actuals",
            "of: [Quantity, UnitPrice]",
            "of: [Quantity, UnitPric]",
            "error",
            "UnitPric is not written to Finance",
        ),
        (
            "actuals",
            "on: {BillingType: BillingType}, evidence: assumed}",
            "on: {BillingType: BillingType}, evidence: assumed}\n    severity: critical",
            "error",
            "LineProperties is assumed, and what nobody has seen must hold no row back",
        ),
        (
            "actuals",
            "to: msdyn_transaction2",
            "to: msdyn_transaction3",
            "warning",
            "the rule will not run: dataverse msdyn_transactionconnection has no column 'msdyn_transaction3'",
        ),
        (
            "hour_estimates",
            "msdyn_bookableresourceid, finance: ProjCDSResourceId",
            "msdyn_taskid, finance: SequenceNumber",
            "error",
            "msdyn_taskid is a lookup and SequenceNumber a int",
        ),
        ("expenses", "dated_by: TransDate", "dated_by: TransDat", "error", "did you mean 'TransDate'?"),
        (
            "expenses",
            "on: {msdyn_project.msdyn_projectnumber: ProjId, msdyn_tasknumber",
            "on: {msdyn_tasknumber",
            "error",
            "does not name one record",
        ),
    ],
)
def test_a_planted_mistake_is_found(
    tmp_path: Path, name: str, old: str, new: str, severity: str, expected: str
) -> None:
    findings = check(tmp_path, name, (old, new))
    assert any(expected in finding.text and finding.severity == severity for finding in findings), findings
    assert name in {finding.map for finding in findings}


def test_a_finding_names_file_and_line(tmp_path: Path) -> None:
    finding = check(tmp_path, "projects", ("finance: ProjectName", "finance: ProjctName"))[0]
    line = (tmp_path / "projects.yaml").read_text(encoding="utf-8").splitlines()[finding.line - 1]
    assert "ProjctName" in line
    assert str(finding).startswith(f"{tmp_path / 'projects.yaml'}:{finding.line}: warning: fields[1].finance: ")


def test_no_lookup_asks_for_a_column_that_its_parent_only_compares(tmp_path: Path) -> None:
    carried = "finance: ContractLineId, way: to_finance"
    findings = check(tmp_path, "contract_lines", (carried, f"{carried}, read_only: true"))
    assert {finding.map for finding in findings} >= {"actuals", "hour_estimates", "milestones"}
    assert all("contract_lines only compares msdyn_contractlinenumber" in finding.text for finding in findings)


def test_a_table_that_is_not_known_is_said_once(tmp_path: Path) -> None:
    findings = check(tmp_path, "tax_groups", ("set: TaxGroups", "set: OurTaxGroups"))
    assert [finding.severity for finding in findings] == ["warning"]
    assert "no columns of OurTaxGroups are known" in findings[0].text


def test_both_header_maps_of_vendor_invoices_must_not_be_on(tmp_path: Path) -> None:
    (finding,) = check(tmp_path, "vendor_invoices_v1", ("enabled: false", "enabled: true"))
    assert (finding.map, finding.severity) == ("vendor_invoices_v1", "error")
    assert "vendor_invoices_v2 is on as well; turn one of them off" in finding.text
    assert check(tmp_path, "vendor_invoices_v1") == []
