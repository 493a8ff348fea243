"""What posting made known of an actual stands in Dataverse as in Finance [R6]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R6",
    title="Posted actuals: accounting amount, rate and tax agree",
    area="estimates_actuals",
    severity="critical",
    compares=(
        "Accounting amount, exchange rate and sales tax of posted actuals against their staging rows and journal lines"
    ),
    evidence="derived",
    basis=("G15",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH posted AS (
    SELECT s.company, a.id, s.record_key, s.import_id, g.currency, a.accounting_amount AS a_amount,
        s.accounting_amount AS s_amount, a.exchange_rate AS a_rate, s.exchange_rate AS s_rate, a.sales_tax AS a_tax,
        s.sales_tax AS s_tax, s.currency AS tax_currency
    FROM staging s JOIN actuals a ON a.id = s.actual_id LEFT JOIN ledgers g ON g.company = s.company
    WHERE s.voucher IS NOT NULL AND settled(a.changed_at)
)
    """,
    checks=(
        Check(
            "a",
            proves="The accounting amount of a posted actual is that of its staged row",
            judges="actuals",
            sql="""
SELECT company, id AS key, id AS dataverse_id, record_key AS finance_key, 'amount' AS class,
    'accounting amount' AS field, a_amount::VARCHAR AS dataverse_value, s_amount::VARCHAR AS finance_value,
    COALESCE(a_amount, 0) - COALESCE(s_amount, 0) AS amount, currency, 'not_written_back' AS cause
FROM posted WHERE COALESCE(a_amount, 0) <> round(COALESCE(s_amount, 0), 4)
            """,
        ),
        Check(
            "b",
            proves="The exchange rate of a posted actual is that of its staged row",
            judges="actuals",
            severity="error",
            sql="""
SELECT company, id AS key, id AS dataverse_id, record_key AS finance_key, 'amount' AS class, 'exchange rate' AS field,
    a_rate::VARCHAR AS dataverse_value, s_rate::VARCHAR AS finance_value, 'not_written_back' AS cause
FROM posted WHERE round(COALESCE(a_rate, 0), 6) <> round(COALESCE(s_rate, 0), 6)
            """,
        ),
        Check(
            "c",
            proves="The sales tax of a posted actual is that of its staged row",
            judges="actuals",
            sql="""
SELECT company, id AS key, id AS dataverse_id, record_key AS finance_key, 'amount' AS class, 'sales tax' AS field,
    a_tax::VARCHAR AS dataverse_value, s_tax::VARCHAR AS finance_value,
    COALESCE(a_tax, 0) - COALESCE(s_tax, 0) AS amount, tax_currency AS currency, 'not_written_back' AS cause
FROM posted WHERE COALESCE(a_tax, 0) <> round(COALESCE(s_tax, 0), 4)
            """,
        ),
        Check(
            "d",
            proves="The accounting amount of a posted staged row is that of its integration journal line",
            judges="staging",
            sql="""
SELECT p.company, p.id AS key, p.id AS dataverse_id, l.record_key AS finance_key, 'amount' AS class,
    'accounting amount of the journal line' AS field, p.s_amount::VARCHAR AS dataverse_value,
    l.accounting_amount::VARCHAR AS finance_value, COALESCE(p.s_amount, 0) - l.accounting_amount AS amount, p.currency,
    'edited' AS cause
FROM posted p JOIN journal_lines l USING (company, import_id)
WHERE l.status = 'Posted' AND COALESCE(p.s_amount, 0) <> l.accounting_amount
            """,
        ),
    ),
)
