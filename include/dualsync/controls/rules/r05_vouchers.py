"""Posted lines have given their voucher to the staged row and to the actual [R5]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R5",
    title="Posted line: its voucher stands on the staged row and on the actual",
    area="estimates_actuals",
    severity="error",
    compares="Vouchers of posted journal lines, staging rows and actuals",
    evidence="derived",
    basis=("G15",),
    dataverse_table="msdyn_actual",
    finance_set="ProjActualsImports",
    given="""
WITH lines AS (
    SELECT company, import_id, voucher, status, accounting_date, record_key, accounting_amount FROM journal_lines
    UNION ALL SELECT company, import_id, voucher, status, accounting_date, record_key, accounting_amount
        FROM balance_lines
), posted AS (
    SELECT l.company, l.voucher AS line_voucher, s.voucher AS staged_voucher, a.voucher AS actual_voucher, a.id,
        a.changed_at, s.record_key
    FROM lines l JOIN staging s USING (company, import_id) JOIN actuals a ON a.id = s.actual_id
    WHERE l.status = 'Posted'
)
    """,
    checks=(
        Check(
            "a",
            proves="The voucher of a staged row that is posted stands on its actual",
            judges="actuals",
            sql="""
SELECT company, id AS key, id AS dataverse_id, record_key AS finance_key, 'reference' AS class,
    'voucher of the actual' AS field, COALESCE(actual_voucher, '') AS dataverse_value,
    COALESCE(staged_voucher, '') AS finance_value, 'not_written_back' AS cause
FROM posted WHERE actual_voucher IS DISTINCT FROM staged_voucher AND settled(changed_at)
            """,
        ),
        Check(
            "c",
            proves="The voucher of a posted journal line stands on its staged row",
            judges="staging",
            sql="""
SELECT company, id AS key, id AS dataverse_id, record_key AS finance_key, 'reference' AS class,
    'voucher of the staged row' AS field, COALESCE(staged_voucher, '') AS dataverse_value,
    line_voucher AS finance_value, 'edited' AS cause
FROM posted WHERE staged_voucher IS DISTINCT FROM line_voucher
            """,
        ),
        Check(
            "d",
            proves="No draft journal line lies in a fiscal period that is over",
            judges="journal_lines",
            severity="warning",
            sql="""
SELECT l.company, s.actual_id AS key, s.actual_id AS dataverse_id, l.record_key AS finance_key,
    'not_posted' AS class, 'journal line' AS field, '' AS dataverse_value, l.status AS finance_value,
    'not_posted' AS cause, 'its fiscal period is over' AS explanation
FROM lines l JOIN staging s USING (company, import_id)
    JOIN fiscal_periods f ON f.company = l.company AND l.accounting_date BETWEEN f.starts AND f.ends
WHERE l.status = 'Draft' AND f.ends < today()
            """,
        ),
    ),
)
