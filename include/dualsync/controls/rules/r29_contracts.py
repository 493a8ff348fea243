"""Contracts, their customers and their billing rules are there once and of the right kind [R29]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R29",
    title="One contract, one funding source per customer, one billing rule per line",
    area="setup_configuration",
    severity="error",
    compares=(
        "Contracts, contract customers and contract lines against contracts, funding sources and "
        "billing rules of Finance"
    ),
    evidence="documented",
    basis=("C1", "C2", "C3", "C14"),
    dataverse_table="salesorder",
    finance_set="ProjectContractHeaders",
    given="""
WITH mine AS (SELECT * FROM contracts WHERE order_type = 'WorkBased' AND number IS NOT NULL),
customers AS (
    SELECT m.company, m.number AS contract, c.number, c.id, c.changed_at FROM contract_customers c
        JOIN mine m ON m.id = c.contract_id
), lines AS (
    SELECT m.company, m.number AS contract, l.sequence, l.billing_method, l.id, l.changed_at FROM contract_lines l
        JOIN mine m ON m.id = l.contract_id WHERE l.line_type = 'Project' AND l.product_type = 'ProjectService'
), rules AS (
    SELECT company, contract, sequence, count(*) AS n, string_agg(DISTINCT type, ' ') AS types,
        string_agg(record_key, ' ') AS keys FROM billing_rules GROUP BY ALL
)
    """,
    checks=(
        Check(
            "a",
            proves="A contract stands in Finance",
            judges="contracts",
            sql="""
SELECT m.company, m.number AS key, m.id AS dataverse_id, 'missing_in_finance' AS class, 'contract' AS field,
    m.number AS dataverse_value, 'not_synced' AS cause
FROM mine m ANTI JOIN finance_contracts f ON f.company = m.company AND lower(f.number) = lower(m.number)
WHERE settled(m.changed_at)
            """,
        ),
        Check(
            "b",
            proves="A contract line has one billing rule, of its kind",
            judges="contract_lines",
            sql="""
SELECT l.company, concat_ws('|', l.contract, l.sequence) AS key, l.id AS dataverse_id, r.keys AS finance_key,
    CASE WHEN r.n IS NULL THEN 'missing_in_finance' WHEN r.n > 1 THEN 'duplicate_in_finance' ELSE 'status' END AS class,
    'billing rule' AS field, l.billing_method AS dataverse_value, COALESCE(r.types, '') AS finance_value
FROM lines l LEFT JOIN rules r ON r.company = l.company AND lower(r.contract) = lower(l.contract)
    AND r.sequence = l.sequence
WHERE settled(l.changed_at) AND (r.n IS NULL OR r.n > 1
    OR r.types <> CASE l.billing_method WHEN 'TimeMaterial' THEN 'TimeMaterial' ELSE 'Milestone' END)
            """,
        ),
        Check(
            "c",
            proves="A contract customer has a funding source in Finance",
            judges="contract_customers",
            sql="""
SELECT c.company, concat_ws('|', c.contract, c.number) AS key, c.id AS dataverse_id, 'missing_in_finance' AS class,
    'funding source' AS field, c.number AS dataverse_value, 'not_synced' AS cause
FROM customers c ANTI JOIN funding_sources f ON f.company = c.company AND lower(f.contract) = lower(c.contract)
    AND lower(f.number) = lower(c.number)
WHERE settled(c.changed_at)
            """,
        ),
        Check(
            "d",
            proves="A funding source has a contract customer in Dataverse",
            judges="funding_sources",
            sql="""
SELECT f.company, f.record_key AS key, f.record_key AS finance_key, 'missing_in_dataverse' AS class,
    'funding source' AS field, f.number AS finance_value
FROM funding_sources f SEMI JOIN mine m ON m.company = f.company AND lower(m.number) = lower(f.contract)
    ANTI JOIN customers c ON c.company = f.company AND lower(c.contract) = lower(f.contract)
        AND lower(c.number) = lower(f.number)
            """,
        ),
        Check(
            "e",
            proves="No customer has two funding sources of one contract",
            judges="funding_sources",
            sql="""
SELECT f.company, concat_ws('|', f.contract, f.customer) AS key, 'duplicate_in_finance' AS class,
    'funding source' AS field, count(*)::VARCHAR AS finance_value, string_agg(f.record_key, ' ') AS finance_key,
    'resent_twice' AS cause
FROM funding_sources f WHERE f.customer IS NOT NULL GROUP BY f.company, f.contract, f.customer HAVING count(*) > 1
            """,
        ),
    ),
)
