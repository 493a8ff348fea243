"""Posted amounts follow Finance's exchange rate of their accounting date [R35]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R35",
    title="Accounting amount = amount x Finance's rate of the accounting date",
    area="estimates_actuals",
    severity="warning",
    compares="Exchange rate and accounting amount of posted staging rows against Finance's rates",
    evidence="derived",
    basis=("G9", "H8", "I8"),
    exclusions=(
        "expenses, which keep the rate they were posted with",
        "contracts with a fixed rate [H8]",
        "currencies without a rate of that day in either direction",
    ),
    tolerance="a rate kept the other way round may be off by its sixth decimal",
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH posted AS (
    SELECT s.*, g.currency AS own, g.rate_type FROM staging s JOIN ledgers g USING (company)
    WHERE s.voucher IS NOT NULL AND s.type <> 'BilledSales' AND s.external_origin IS NULL
        AND NOT EXISTS (FROM fixed_rates f WHERE f.company = s.company AND f.contract = s.contract
            AND f.currency = s.currency)
), rated AS (
    SELECT p.*, CASE WHEN p.currency = p.own THEN 100 ELSE d.rate END::DECIMAL(18,6) AS direct,
        r.rate::DECIMAL(18,6) AS inverse
    FROM posted p LEFT JOIN exchange_rates d ON d.rate_type = p.rate_type AND d.of_currency = p.currency
            AND d.to_currency = p.own AND p.accounting_date BETWEEN d.valid_from AND d.valid_to
        LEFT JOIN exchange_rates r ON r.rate_type = p.rate_type AND r.of_currency = p.own AND r.to_currency = p.currency
            AND p.accounting_date BETWEEN r.valid_from AND r.valid_to
)
    """,
    checks=(
        Check(
            "a",
            proves="The exchange rate of a posted row is Finance's rate of its accounting date",
            judges="staging",
            sql="""
SELECT company, actual_id AS key, actual_id AS dataverse_id, record_key AS finance_key, 'amount' AS class,
    'exchange rate' AS field, exchange_rate::VARCHAR AS dataverse_value, COALESCE(direct, inverse)::VARCHAR
        AS finance_value,
    concat_ws(' ', currency, 'on', accounting_date) AS explanation
FROM rated WHERE (direct IS NOT NULL AND exchange_rate <> direct) OR (direct IS NULL AND inverse IS NOT NULL
    AND abs(exchange_rate::DECIMAL(18,6) * inverse - 10000) > inverse * 0.000001)
            """,
        ),
        Check(
            "b",
            proves="The accounting amount of a posted row is its amount at its exchange rate",
            judges="staging",
            sql="""
SELECT company, actual_id AS key, actual_id AS dataverse_id, record_key AS finance_key, 'amount' AS class,
    'accounting amount' AS field, accounting_amount::VARCHAR AS dataverse_value,
    round(amount::DECIMAL(18,4) * exchange_rate::DECIMAL(16,6) * 0.01, 2)::VARCHAR AS finance_value,
    accounting_amount - round(amount::DECIMAL(18,4) * exchange_rate::DECIMAL(16,6) * 0.01, 2) AS amount, own AS currency
FROM posted WHERE accounting_amount <> round(amount::DECIMAL(18,4) * exchange_rate::DECIMAL(16,6) * 0.01, 2)
            """,
        ),
    ),
)
