"""No entry has the same actual twice [R38]."""

from dualsync.controls.model import Check, Control

CONTROL = Control(
    id="R38",
    title="Actuals of an entry are not doubled",
    area="estimates_actuals",
    severity="critical",
    compares="Standing actuals of one entry: type, class, billing type, customer, quantity and amount",
    evidence="derived",
    basis=("E25",),
    exclusions=(
        "entry journals, whose actuals have no entry [E23]",
        "sales that were reversed when they were invoiced [E9]",
    ),
    dataverse_table="msdyn_actual",
    given="""
WITH reversed AS (
    SELECT lower(CASE WHEN one_role = 'Reversing' THEN two ELSE one END) AS id FROM connections
    WHERE (one_role = 'Reversing' AND two_role = 'Original') OR (one_role = 'Original' AND two_role = 'Reversing')
)
    """,
    checks=(
        Check(
            "a",
            proves="No entry has the same actual twice",
            judges="actuals",
            sql="""
SELECT a.company, a.origin AS key, 'duplicate_in_dataverse' AS class, a.type AS field, count(*)::VARCHAR
    AS dataverse_value,
    '1' AS finance_value, any_value(a.amount) * (count(*) - 1)::INTEGER AS amount, any_value(c.code) AS currency,
    string_agg(a.id, ' ') AS dataverse_id, 'resent_twice' AS cause
FROM actuals a LEFT JOIN currencies c ON c.id = a.currency_id
WHERE a.origin IS NOT NULL AND a.adjustment IS NULL AND a.id NOT IN (FROM reversed) AND settled(a.changed_at)
GROUP BY a.company, a.origin, a.type, a.class, a.billing_type, a.contract_customer_id, a.quantity, a.amount
HAVING count(*) > 1
            """,
        ),
    ),
)
