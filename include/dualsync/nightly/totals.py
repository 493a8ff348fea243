"""Control totals: number and amount on each side, by company, fiscal period, project, currency, type and class.

They tie to the rows they are made of, on either side, and their differences to the breaks. Beside them stand the
balances of the integration accounts, and the share of the amounts that both sides have just so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pyarrow as pa
from upath import UPath

from dualsync.controls.accounts import ACCOUNTS
from dualsync.controls.model import WINDOW
from dualsync.frames import ParquetSink, Sets
from dualsync.nightly.checks import NOT_RUN
from dualsync.nightly.needs import lacking, reads
from dualsync.nightly.night import NightRuntime
from dualsync.nightly.views import open_views
from dualsync.sync.legs.folders import write_json

MONEY = pa.decimal128(38, 6)
TOTALS_SCHEMA = pa.schema(
    [
        pa.field("totals", pa.string()),
        pa.field("company", pa.string()),
        pa.field("period", pa.date32()),
        pa.field("project", pa.string()),
        pa.field("currency", pa.string()),
        pa.field("type", pa.string()),
        pa.field("class", pa.string()),
        pa.field("dataverse_rows", pa.int64()),
        pa.field("dataverse_amount", MONEY),
        pa.field("dataverse_accounting", MONEY),
        pa.field("finance_rows", pa.int64()),
        pa.field("finance_amount", MONEY),
        pa.field("finance_accounting", MONEY),
    ]
)
"""One row for each group; ``period`` is its first day. Accounting amounts are in the company's own currency."""

GROUP = ("company", "period", "project", "currency", "type", "class")


@dataclass(frozen=True, slots=True)
class TotalSet:
    """One pair of things that must come to the same.

    Attributes:
        name: Its name in files.
        title: What is counted.
        dataverse: Query of the rows in Dataverse: company, day, project, currency, type, class, amount, accounting.
        finance: The same of those in Finance.
    """

    name: str
    title: str
    dataverse: str
    finance: str


_TYPES = "CASE r.type WHEN 'Sales' THEN 'Unbilled' WHEN 'BilledSales' THEN 'Billed' ELSE r.type END AS type"
"""Finance's transaction types in Dataverse's words."""

TOTALS = (
    TotalSet(
        "staged",
        "Actuals carried over",
        """
SELECT a.company, a.accounting_date AS day, p.number AS project, c.code AS currency, a.type, a.class, a.amount,
    a.accounting_amount AS accounting
FROM actuals a JOIN integrated i USING (company) LEFT JOIN projects p ON p.id = a.project_id
    LEFT JOIN currencies c ON c.id = a.currency_id
WHERE a.skip_sync IS FALSE AND settled(a.changed_at) AND (i.cut_over IS NULL OR a.document_date >= i.cut_over
    OR a.id IN (SELECT actual_id FROM staging))
        """,
        f"""
SELECT r.company, r.accounting_date AS day, r.project, r.currency, {_TYPES}, r.class, r.amount,
    r.accounting_amount AS accounting
FROM staging r LEFT JOIN actuals a ON a.id = r.actual_id WHERE a.id IS NULL OR settled(a.changed_at)
        """,
    ),
    TotalSet(
        "posted",
        "Actuals posted by integration journals",
        """
SELECT a.company, a.accounting_date AS day, p.number AS project, c.code AS currency, a.type, a.class, a.amount,
    a.accounting_amount AS accounting
FROM actuals a LEFT JOIN projects p ON p.id = a.project_id LEFT JOIN currencies c ON c.id = a.currency_id
WHERE a.skip_sync IS FALSE AND a.voucher IS NOT NULL AND a.type <> 'Billed' AND settled(a.changed_at)
    AND (a.company, a.import_id) NOT IN (SELECT (company, lower(import_id)) FROM project_transactions
        WHERE import_id IS NOT NULL AND origin NOT IN ('IntegrationJournal', 'BeginningBalance'))
        """,
        f"""
WITH lines AS (
    SELECT company, import_id, status, accounting_date, project, currency, type, class, amount, accounting_amount
    FROM journal_lines
    UNION ALL SELECT company, import_id, status, accounting_date, project, currency, type, class, amount,
        accounting_amount FROM balance_lines
)
SELECT r.company, r.accounting_date AS day, r.project, r.currency, {_TYPES}, r.class, r.amount,
    r.accounting_amount AS accounting
FROM lines r LEFT JOIN actuals a ON a.import_id = r.import_id
WHERE r.status = 'Posted' AND (a.import_id IS NULL OR settled(a.changed_at))
        """,
    ),
    TotalSet(
        "expenses",
        "Posted project expenses",
        """
SELECT e.company, e.day, p.number AS project, c.code AS currency, 'Expense' AS type, 'Expense' AS class, e.amount,
    NULL AS accounting
FROM expenses e LEFT JOIN projects p ON p.id = e.project_id LEFT JOIN currencies c ON c.id = e.currency_id
WHERE e.number IS NOT NULL AND settled(e.changed_at)
        """,
        """
SELECT x.company, x.day, x.project, x.currency, 'Expense' AS type, 'Expense' AS class, x.net_amount AS amount,
    NULL AS accounting
FROM expense_exports x JOIN integrated i USING (company)
    LEFT JOIN expenses e ON e.company = x.company AND lower(e.number) = lower(x.number)
WHERE (e.id IS NULL OR settled(e.changed_at)) AND (i.cut_over IS NULL OR x.day >= i.cut_over OR e.id IS NOT NULL)
        """,
    ),
    TotalSet(
        "vendor_lines",
        "Project lines of vendor invoices",
        """
SELECT l.company, l.day, p.number AS project, c.code AS currency, 'Vendor invoice' AS type, '' AS class, l.amount,
    NULL AS accounting
FROM vendor_invoice_lines l LEFT JOIN projects p ON p.id = l.project_id LEFT JOIN currencies c ON c.id = l.currency_id
WHERE l.number IS NOT NULL AND settled(l.changed_at)
        """,
        """
SELECT x.company, x.day, x.project, x.currency, 'Vendor invoice' AS type, '' AS class, x.amount, NULL AS accounting
FROM vendor_line_exports x JOIN integrated i USING (company)
    LEFT JOIN vendor_invoice_lines l ON l.company = x.company AND lower(l.number) = lower(x.number)
WHERE (l.id IS NULL OR settled(l.changed_at)) AND (i.cut_over IS NULL OR x.day >= i.cut_over OR l.id IS NOT NULL)
        """,
    ),
    TotalSet(
        "invoices",
        "Invoiced sales, where the proposal has its lines",
        """
SELECT a.company, i.day, p.number AS project, c.code AS currency, a.type, a.class, a.amount, NULL AS accounting
FROM actuals a JOIN invoices i ON i.id = a.invoice_id LEFT JOIN projects p ON p.id = a.project_id
    LEFT JOIN currencies c ON c.id = a.currency_id
    JOIN proposal_headers h ON h.company = i.company AND lower(h.number) = lower(i.number)
WHERE a.type = 'Billed' AND a.skip_sync IS FALSE AND a.billing_type = 'Chargeable' AND h.line_count > 0
    AND settled(i.changed_at)
        """,
        """
SELECT l.company, h.day, l.project, h.currency, 'Billed' AS type, l.class, l.invoiced AS amount, NULL AS accounting
FROM proposal_lines l JOIN proposal_headers h ON h.company = l.company AND h.number = l.proposal
    LEFT JOIN invoices i ON i.company = l.company AND lower(i.number) = lower(l.proposal)
WHERE l.billing_type = 'Chargeable' AND (i.id IS NULL OR settled(i.changed_at))
        """,
    ),
)

_MATCHED = """
WITH staged AS (
    SELECT actual_id, count(*) AS n, any_value(amount) AS amount, any_value(currency) AS currency FROM staging
    GROUP BY actual_id
)
SELECT a.company, sum(abs(COALESCE(a.amount_base, 0))) AS total,
    COALESCE(sum(abs(COALESCE(a.amount_base, 0))) FILTER (WHERE settled(a.changed_at)), 0) AS tested,
    COALESCE(sum(abs(COALESCE(a.amount_base, 0))) FILTER (WHERE settled(a.changed_at) AND s.n = 1
        AND a.amount = round(s.amount, 4) AND c.code = s.currency), 0) AS matched
FROM actuals a JOIN integrated i USING (company) LEFT JOIN currencies c ON c.id = a.currency_id
    LEFT JOIN staged s ON s.actual_id = a.id
WHERE a.skip_sync IS FALSE AND (i.cut_over IS NULL OR a.document_date >= i.cut_over OR s.n IS NOT NULL)
GROUP BY a.company
"""
_AMOUNTS = ("matched", "tested", "total")
_ONLY_FINANCE = """
SELECT s.company, sum(abs(s.amount)) AS amount, c.rate FROM staging s ANTI JOIN actuals a ON a.id = s.actual_id
    LEFT JOIN currencies c ON c.code = s.currency GROUP BY s.company, c.rate
"""
_PERIODS = "SELECT company, starts, ends FROM fiscal_periods"


def totals_read() -> tuple[str, ...]:
    """Return every extract that totals and balances read."""
    queries = [query for one in TOTALS for query in (one.dataverse, one.finance)]
    return reads(_PERIODS, _MATCHED, _ONLY_FINANCE, *queries, *(one.sql for one in ACCOUNTS))


def compute_totals(night: NightRuntime) -> dict[str, Any]:
    """Write ``totals.parquet`` and ``totals.json`` of the night.

    Returns:
        State of each set and balance, the balances themselves, and by company (under the empty text for all) the share
        of the tested amounts that is matched, and the amounts matched, tested, and in total.
    """
    with Sets() as sets:
        states = _write(night, sets, totals_path(night))
        balances, more = _balances(night)
        amounts = _matched(night)
        result = {
            "states": states | more,
            "balances": balances,
            "matched": _shares(amounts),
            "amounts": {
                company: {name: format(amount, "f") for name, amount in one.items()} for company, one in amounts.items()
            },
        }
    write_json(totals_path(night).with_suffix(".json"), result)
    return result


def totals_path(night: NightRuntime) -> UPath:
    """The file of the night's totals."""
    return night.night.folder / "totals.parquet"


def _write(night: NightRuntime, sets: Sets, path: UPath) -> dict[str, dict[str, str]]:
    states: dict[str, dict[str, str]] = {}
    periods = not lacking(night, _PERIODS)
    with ParquetSink(path, TOTALS_SCHEMA) as sink:
        for one in TOTALS:
            reason = lacking(night, one.dataverse, one.finance)
            states[one.name] = {"title": one.title, "state": NOT_RUN if reason else "drawn_up", "reason": reason}
            if reason:
                continue
            names = reads(one.dataverse, one.finance)
            open_views(sets, night, [*names, *(["fiscal_periods"] if periods else [])], WINDOW)
            for table in sets.stream(_sql(one, periods=periods)):
                sink.write(table.cast(TOTALS_SCHEMA))
    return states


def _sql(one: TotalSet, *, periods: bool) -> str:
    sums = "count(*) AS n, sum(amount) AS amount, sum(accounting) AS accounting"
    period, join = "date_trunc('month', r.day)::DATE", ""
    if periods:
        join = " LEFT JOIN fiscal_periods f ON f.company = r.company AND r.day BETWEEN f.starts AND f.ends"
        period = f"COALESCE(f.starts, {period})"
    text = ", ".join(f"COALESCE(r.{name}, '') AS {name}" for name in ("project", "currency", "type"))
    sides = {
        side: f"SELECT {', '.join(GROUP)}, {sums} FROM (SELECT r.company, {period} AS period, {text}, "
        f"COALESCE(r.class, '') AS class, r.amount::DECIMAL(38,6) AS amount, "
        f"r.accounting::DECIMAL(38,6) AS accounting FROM ({query}) r{join}) GROUP BY ALL"
        for side, query in (("d", one.dataverse), ("f", one.finance))
    }
    same = " AND ".join(f"d.{name} IS NOT DISTINCT FROM f.{name}" for name in GROUP)
    columns = ", ".join(f"COALESCE(d.{name}, f.{name}) AS {name}" for name in GROUP)
    figures = ", ".join(
        f"COALESCE({letter}.{name}, 0)::{kind} AS {side}_{word}"
        for side, letter in (("dataverse", "d"), ("finance", "f"))
        for name, word, kind in (
            ("n", "rows", "BIGINT"),
            ("amount", "amount", "DECIMAL(38,6)"),
            ("accounting", "accounting", "DECIMAL(38,6)"),
        )
    )
    return (
        f"SELECT '{one.name}' AS totals, {columns}, {figures} FROM ({sides['d']}) d FULL JOIN ({sides['f']}) f "
        f"ON {same} ORDER BY 2, 3, 4, 5, 6, 7"
    )


def _balances(night: NightRuntime) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    rows: list[dict[str, Any]] = []
    states: dict[str, dict[str, str]] = {}
    for one in ACCOUNTS:
        reason = lacking(night, one.sql)
        states[one.name] = {"title": one.title, "state": NOT_RUN if reason else "drawn_up", "reason": reason}
        if reason:
            continue
        with Sets() as sets:
            open_views(sets, night, reads(one.sql), WINDOW)
            for row in sets.fetch(f"{one.sql} ORDER BY 1").to_pylist():
                figures = {name: format(row[name], "f") for name in ("balance", "open_items")}
                rows.append({"name": one.name, "title": one.title, **row, **figures})
    return rows, states


def _matched(night: NightRuntime) -> dict[str, dict[str, Decimal]]:
    """Amounts to be carried over, in Dataverse's base currency: matched, tested and total, by company and for all.

    *Matched* is what Finance has just so, *tested* what is old enough to be judged, *total* all of it. Rows that only
    Finance has count as tested and not matched. There is nothing where the rows cannot be read.
    """
    if lacking(night, _MATCHED, _ONLY_FINANCE):
        return {}
    with Sets() as sets:
        open_views(sets, night, reads(_MATCHED, _ONLY_FINANCE), WINDOW)
        rows = sets.fetch(_MATCHED).to_pylist()
        strangers = sets.fetch(_ONLY_FINANCE).to_pylist()
    amounts = {row["company"]: {name: row[name] for name in _AMOUNTS} for row in rows}
    for row in strangers:
        amount = row["amount"] / (row["rate"] or Decimal(1))
        of_company = amounts.setdefault(row["company"], dict.fromkeys(_AMOUNTS, Decimal(0)))
        for name in ("tested", "total"):
            of_company[name] += amount
    every = {name: sum((one[name] for one in amounts.values()), Decimal(0)) for name in _AMOUNTS}
    return {name: one for name, one in {"": every, **amounts}.items() if one["total"]}


def _shares(amounts: Mapping[str, Mapping[str, Decimal]]) -> dict[str, str]:
    """The share matched of what was tested. It is cut, never rounded up: 1 means all of it."""
    shares = {company: _share(one["matched"], one["tested"]) for company, one in amounts.items()}
    return {company: share for company, share in shares.items() if share}


def _share(part: Decimal, whole: Decimal) -> str:
    if not whole:
        return ""
    return format((part / whole).quantize(Decimal("0.00000001"), ROUND_DOWN).normalize(), "f")
