"""A packing slip line is one usage in Dataverse, and its cost is not journalled again [R40]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R40",
    title="Packing slip lines = approved usages = costs not journalled again",
    area="vendor_invoices",
    severity="critical",
    compares=(
        "Packing slip lines against usages of material that came from Finance, and their cost actuals against journals"
    ),
    evidence="derived",
    basis=("J15", "G18"),
    exclusions=("companies to which no packing slip has come over yet: the map of material usages is not on there",),
    dataverse_table="msdyn_materialusagelog",
    finance_set="PackingSlipLines",
    given="""
WITH used AS (SELECT * FROM material_usages WHERE slip_line IS NOT NULL),
arriving AS (SELECT DISTINCT company FROM used)
    """,
    checks=(
        Check(
            "a",
            proves="A packing slip line has its usage of material",
            judges="packing_slip_lines",
            severity="error",
            sql="""
SELECT s.company, s.number AS key, s.record_key AS finance_key, 'missing_in_dataverse' AS class,
    s.cost::VARCHAR AS finance_value, -s.cost AS amount, 'not_synced' AS cause
FROM packing_slip_lines s SEMI JOIN arriving USING (company)
    ANTI JOIN used u ON u.company = s.company AND lower(u.slip_line) = lower(s.number)
            """,
        ),
        Check(
            "b",
            proves="The cost of a usage that came from Finance is in no journal",
            judges="material_usages",
            sql="""
SELECT u.company, u.slip_line AS key, a.id AS dataverse_id, j.record_key AS finance_key, 'duplicate_in_finance'
    AS class,
    'journal line of the cost' AS field, '0' AS dataverse_value, j.amount::VARCHAR AS finance_value, -j.amount
        AS amount,
    j.currency, 'resent_twice' AS cause
FROM used u JOIN actuals a ON a.origin = u.id JOIN journal_lines j ON j.company = a.company
    AND j.import_id = a.import_id
WHERE a.type = 'Cost'
            """,
        ),
        Check(
            "c",
            proves="A usage that came from Finance has its packing slip line, with the same quantity",
            judges="material_usages",
            severity="error",
            sql="""
SELECT u.company, u.slip_line AS key, u.id AS dataverse_id, s.record_key AS finance_key,
    CASE WHEN s.number IS NULL THEN 'missing_in_finance' ELSE 'amount' END AS class, 'quantity' AS field,
    u.quantity::VARCHAR AS dataverse_value, COALESCE(s.quantity::VARCHAR, '') AS finance_value
FROM used u LEFT JOIN packing_slip_lines s ON s.company = u.company AND lower(s.number) = lower(u.slip_line)
WHERE settled(u.changed_at) AND (s.number IS NULL OR round(s.quantity, 4) <> round(u.quantity, 4))
            """,
        ),
    ),
)
