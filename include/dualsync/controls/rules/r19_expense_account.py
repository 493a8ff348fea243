"""R19: the expense integration account holds what is posted and not yet journalled."""

from dualsync.controls.model import Control

CONTROL = Control(
    id="R19",
    title="Expense integration account = posted expenses without posted journal line",
    area="expense_management",
    severity="critical",
    compares=(
        "Balance of the expense integration account against posted project expenses less posted journal lines of them"
    ),
    needs=(
        "ledger_entries",
        "parameters",
        "expense_distributions",
        "expense_reports",
        "journal_lines",
        "ledgers",
    ),
    evidence="derived",
    basis=("I2", "I4"),
    exclusions=("expenses of no project",),
    finance_set="LedgerEntries",
    sql="""
WITH balances AS (
    SELECT e.company, sum(e.debit - e.credit) AS amount FROM ledger_entries e JOIN parameters p USING (company)
    WHERE e.account = p.expense_account GROUP BY ALL
), spent AS (
    SELECT d.company, sum(d.accounting_amount) AS amount
    FROM expense_distributions d JOIN expense_reports r USING (company, report) WHERE r.status = 'Posted' GROUP BY ALL
), cleared AS (
    SELECT l.company, sum(l.accounting_amount) AS amount FROM journal_lines l JOIN parameters p USING (company)
    WHERE l.status = 'Posted' AND l.offset_account = p.expense_account GROUP BY ALL
)
SELECT company, p.expense_account AS key, 'balance' AS class,
    (COALESCE(s.amount, 0) - COALESCE(c.amount, 0))::VARCHAR AS dataverse_value, COALESCE(b.amount, 0)::VARCHAR
        AS finance_value,
    COALESCE(s.amount, 0) - COALESCE(c.amount, 0) - COALESCE(b.amount, 0) AS amount, g.currency, p.expense_account
        AS finance_key,
    concat('posted expenses ', COALESCE(s.amount, 0), ' less journal lines ', COALESCE(c.amount, 0),
        ' against the account')
        AS explanation
FROM parameters p LEFT JOIN balances b USING (company) LEFT JOIN spent s USING (company)
    LEFT JOIN cleared c USING (company) LEFT JOIN ledgers g USING (company)
WHERE COALESCE(s.amount, 0) - COALESCE(c.amount, 0) <> COALESCE(b.amount, 0)
    """,
)
