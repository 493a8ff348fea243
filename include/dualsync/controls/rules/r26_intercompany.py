"""An intercompany entry has its four actuals, three where it is not billed by time and material [R26]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R26",
    title="Intercompany entries: cost, unbilled, resourcing cost and inter-organizational sales",
    area="estimates_actuals",
    severity="critical",
    compares=(
        "Actuals of entries whose resource belongs to another company, by entry; and the journals, "
        "which hold no such cost"
    ),
    evidence="documented",
    basis=("K1", "K2", "K3"),
    exclusions=("people of companies that are not integrated", "entry journals, which make no such pairs [K7]"),
    dataverse_table="msdyn_actual",
    finance_set="IntegrationJournalLines",
    given="""
WITH standing AS (SELECT * FROM actuals WHERE adjustment IS NULL AND origin IS NOT NULL),
lent AS (
    SELECT a.*, i.company AS lender FROM standing a JOIN integrated i ON i.company_id = a.resourcing_company_id
    WHERE a.type = 'Cost' AND a.class IN ('Time', 'Expense') AND i.company <> a.company AND settled(a.changed_at)
), counted AS (
    SELECT e.origin, count(*) FILTER (WHERE s.type = 'Cost') AS cost, count(*) FILTER (WHERE s.type = 'Unbilled')
        AS unbilled,
        count(*) FILTER (WHERE s.type = 'ResourcingUnitCost') AS unit_cost,
        count(*) FILTER (WHERE s.type = 'InterOrgSales') AS sales
    FROM (SELECT DISTINCT origin FROM lent) e JOIN standing s USING (origin) GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="An entry of another company's person has its four actuals, three where it is not time and material",
            judges="actuals",
            sql="""
SELECT l.company, l.origin AS key, l.id AS dataverse_id, 'relation' AS class, 'actuals of the entry' AS field,
    concat('cost ', c.cost, ', unbilled ', c.unbilled, ', resourcing cost ', c.unit_cost, ', inter-org sales ', c.sales)
        AS dataverse_value,
    concat('cost 1, unbilled ', CASE WHEN t.id IS NULL THEN '0' ELSE '1 or more' END,
        ', resourcing cost 1, inter-org sales 1') AS finance_value,
    l.amount AS amount, y.code AS currency, 'lent by ' || l.lender AS explanation
FROM lent l JOIN counted c USING (origin)
    LEFT JOIN contract_lines t ON t.id = l.contract_line_id AND t.billing_method = 'TimeMaterial'
    LEFT JOIN currencies y ON y.id = l.currency_id
WHERE c.cost <> 1 OR c.unit_cost <> 1 OR c.sales <> 1 OR (t.id IS NULL) <> (c.unbilled = 0)
            """,
        ),
        Check(
            "b",
            proves="The cost of an entry of another company's person is in no journal",
            judges="actuals",
            sql="""
SELECT l.company, l.origin AS key, l.id AS dataverse_id, j.record_key AS finance_key, 'relation' AS class,
    'journal line of the cost' AS field, '0' AS dataverse_value, j.amount::VARCHAR AS finance_value, -j.amount
        AS amount,
    j.currency, 'lent by ' || l.lender AS explanation
FROM lent l JOIN journal_lines j ON j.import_id = l.import_id
            """,
        ),
    ),
)
