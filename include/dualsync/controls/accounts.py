"""The integration accounts, and what they must hold: what is posted and no journal line has cleared [I4, J2]."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """An account that must hold what its open items add up to.

    Attributes:
        name: Its name in files.
        title: The account.
        sql: Query of company, account, balance, open_items, currency, and explanation of the latter.
    """

    name: str
    title: str
    sql: str

    @property
    def breaks(self) -> str:
        """Query of the breaks: a balance that is not what is open."""
        return f"""
SELECT company, account AS key, account AS finance_key, 'balance' AS class, open_items::VARCHAR AS dataverse_value,
    balance::VARCHAR AS finance_value, open_items - balance AS amount, currency, explanation
FROM ({self.sql}) WHERE open_items <> balance
        """


def _sql(account: str, bought: str) -> str:
    """The query of an account from what has been posted to it: company, amount, and where it stands on its way."""
    return f"""
SELECT p.company, p.{account} AS account, COALESCE(b.amount, 0) AS balance,
    COALESCE(s.amount, 0) - COALESCE(c.amount, 0) AS open_items, g.currency,
    concat('posted ', COALESCE(s.amount, 0), ', cleared by journal lines ', COALESCE(c.amount, 0),
        '; without an actual ', COALESCE(s.no_actual, 0), ', without a posted journal line ', COALESCE(s.no_line, 0))
        AS explanation
FROM parameters p LEFT JOIN ledgers g USING (company)
    LEFT JOIN (SELECT company, account, sum(debit - credit) AS amount FROM ledger_entries GROUP BY ALL) b
        ON b.company = p.company AND b.account = p.{account}
    LEFT JOIN (SELECT company, sum(amount) AS amount, sum(amount) FILTER (WHERE NOT staged) AS no_actual,
        sum(amount) FILTER (WHERE staged AND NOT journalled) AS no_line FROM ({bought}) GROUP BY ALL) s
        ON s.company = p.company
    LEFT JOIN (SELECT company, offset_account, sum(accounting_amount) AS amount FROM journal_lines
        WHERE status = 'Posted' GROUP BY ALL) c ON c.company = p.company AND c.offset_account = p.{account}
    """


_JOURNALLED = "SELECT (company, import_id) FROM journal_lines WHERE status = 'Posted'"

ACCOUNTS = (
    Account(
        "expense",
        "Expense integration account",
        _sql(
            "expense_account",
            f"""SELECT d.company, d.accounting_amount AS amount, count(a.import_id) > 0 AS staged,
    COALESCE(bool_or((a.company, a.import_id) IN ({_JOURNALLED})), FALSE) AS journalled
FROM expense_distributions d JOIN expense_reports r USING (company, report)
    LEFT JOIN staging a ON a.company = d.company AND lower(a.external_origin) = lower(d.number) AND a.type = 'Cost'
WHERE r.status = 'Posted' GROUP BY d.company, d.record_key, d.accounting_amount""",
        ),
    ),
    Account(
        "procurement",
        "Procurement integration account",
        _sql(
            "procurement_account",
            f"""SELECT l.company, l.accounting_amount AS amount, count(a.import_id) > 0 AS staged,
    COALESCE(bool_or((a.company, a.import_id) IN ({_JOURNALLED})), FALSE) AS journalled
FROM vendor_lines l JOIN vendor_headers h USING (company, reference)
    LEFT JOIN staging a ON a.company = l.company AND lower(a.vendor_line) = lower(l.number)
        AND a.type IN ('Cost', 'ResourcingUnitCost')
WHERE h.status = 'Posted' AND l.project IS NOT NULL AND (l.company, l.number) NOT IN
    (SELECT (company, transaction) FROM project_transactions WHERE origin <> 'IntegrationJournal')
GROUP BY l.company, l.record_key, l.accounting_amount""",
        ),
    ),
)
"""The integration accounts."""


def account(name: str) -> Account:
    """The account of a name."""
    return next(one for one in ACCOUNTS if one.name == name)
