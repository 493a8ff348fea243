"""Every estimate is one forecast, with its quantity and amounts [R30]."""

from dualsync.controls.model import Check, Control

_HOURS = """
, planned AS (FROM hours), forecasts AS (SELECT *, 'hours' AS kind FROM hour_forecasts)
"""
_EXPENSES = """
, planned AS (FROM lines WHERE kind = 'expense'), forecasts AS (SELECT *, 'expense' AS kind FROM expense_forecasts)
"""
_MATERIAL = """
, planned AS (FROM lines WHERE kind = 'material'), forecasts AS (SELECT *, 'material' AS kind FROM item_forecasts)
"""
_HELD = """
, held AS (
    SELECT company, kind, origin_id AS origin, count(*) AS n, sum(quantity) AS quantity, sum(cost) AS cost,
        sum(sales) AS sales, string_agg(record_key, ' ') AS keys FROM forecasts WHERE origin_id IS NOT NULL GROUP BY ALL
)
"""
_OF_ESTIMATES = f"""
{_HELD}, due AS (
    SELECT p.*, i.cut_over IS NOT NULL AND p.starts < i.cut_over AS history FROM planned p
        JOIN integrated i USING (company)
)
SELECT d.company, d.origin AS key, d.origin AS dataverse_id, 'missing_in_finance' AS class, d.kind AS field,
    d.quantity::VARCHAR AS dataverse_value, COALESCE(d.sales, d.cost) AS amount, 'not_synced' AS cause,
    d.about AS explanation
FROM due d ANTI JOIN held h USING (company, kind, origin) WHERE NOT d.history AND settled(d.changed_at)
UNION ALL BY NAME
SELECT h.company, h.origin AS key, h.origin AS dataverse_id, h.keys AS finance_key, 'duplicate_in_finance' AS class,
    h.kind AS field, '1' AS dataverse_value, h.n::VARCHAR AS finance_value, p.cost - h.cost AS amount,
    'resent_twice' AS cause
FROM held h JOIN planned p USING (company, kind, origin) WHERE h.n > 1
UNION ALL BY NAME
SELECT p.company, p.origin AS key, p.origin AS dataverse_id, h.keys AS finance_key, 'amount' AS class,
    concat_ws(' ', p.kind, v.field) AS field, v.ours::VARCHAR AS dataverse_value, v.theirs::VARCHAR AS finance_value,
    CASE WHEN v.field <> 'quantity' THEN v.ours - v.theirs END AS amount, 'edited' AS cause
FROM held h JOIN planned p USING (company, kind, origin), LATERAL (
    VALUES ('quantity', COALESCE(p.quantity, 0)::DECIMAL(28,4), COALESCE(h.quantity, 0)::DECIMAL(28,4)),
        ('cost', COALESCE(p.cost, 0)::DECIMAL(28,4), COALESCE(h.cost, 0)::DECIMAL(28,4)),
        ('sales', COALESCE(p.sales, 0)::DECIMAL(28,4), COALESCE(h.sales, 0)::DECIMAL(28,4))
) v(field, ours, theirs)
WHERE h.n = 1 AND v.ours <> v.theirs AND settled(p.changed_at)
"""
"""Estimates of one kind without a forecast, with several, and with one of other values."""

_OF_FORECASTS = f"""
{_HELD}
SELECT h.company, h.origin AS key, h.keys AS finance_key, 'missing_in_dataverse' AS class, h.kind AS field,
    h.quantity::VARCHAR AS finance_value, -COALESCE(h.sales, h.cost) AS amount
FROM held h ANTI JOIN planned p USING (company, kind, origin)
"""
"""Forecasts of one kind without an estimate."""

CONTROL = Control(
    id="R30",
    title="Estimates = forecasts, one to one, totals equal, none doubled",
    area="estimates_actuals",
    severity="critical",
    compares="Resource assignments and pairs of estimate lines against forecasts, by origin",
    evidence="derived",
    basis=("D3", "D6"),
    exclusions=(
        "older than the cut-over of their company: Finance has them in its own way",
        "forecasts without an origin, which Finance has made itself",
    ),
    dataverse_table="msdyn_estimateline",
    finance_set="ForecastHours",
    given="""
WITH hours AS (
    SELECT company, 'hours' AS kind, id AS origin, hours AS quantity, cost, sales, changed_at, starts, name AS about
    FROM assignments
), lines AS (
    SELECT e.company, CASE e.class WHEN 'Expense' THEN 'expense' ELSE 'material' END AS kind,
        COALESCE(e.origin_id, e.id) AS origin,
        COALESCE(max(e.quantity) FILTER (WHERE e.type = 'Cost'), max(e.quantity)) AS quantity,
        sum(e.amount) FILTER (WHERE e.type = 'Cost') AS cost, sum(e.amount) FILTER (WHERE e.type = 'Unbilled') AS sales,
        max(e.changed_at) AS changed_at, min(e.starts)::DATE AS starts, any_value(e.class) AS about
    FROM estimate_lines e WHERE e.class IN ('Expense', 'Material') GROUP BY ALL
)
    """,
    checks=(
        Check(
            "b",
            proves="An estimate of material is one forecast, with its quantity and amounts",
            judges="estimate_lines",
            sql=_MATERIAL + _OF_ESTIMATES,
        ),
        Check(
            "c",
            proves="An estimate of hours is one forecast, with its quantity and amounts",
            judges="assignments",
            sql=_HOURS + _OF_ESTIMATES,
        ),
        Check(
            "d",
            proves="An estimate of an expense is one forecast, with its quantity and amounts",
            judges="estimate_lines",
            sql=_EXPENSES + _OF_ESTIMATES,
        ),
        Check(
            "e",
            proves="A forecast of material has its estimate",
            judges="item_forecasts",
            sql=_MATERIAL + _OF_FORECASTS,
        ),
        Check(
            "f",
            proves="A forecast of hours has its estimate",
            judges="hour_forecasts",
            sql=_HOURS + _OF_FORECASTS,
        ),
        Check(
            "g",
            proves="A forecast of an expense has its estimate",
            judges="expense_forecasts",
            sql=_EXPENSES + _OF_FORECASTS,
        ),
    ),
)
