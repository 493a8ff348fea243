"""The nightly reconciliation: rules that must hold between the two systems, and the full comparison of every map.

Finance and Dataverse are read into Parquet (``reading``), each map's rows of both sides are brought into one form
(``sides``) and compared (``diff``, ``comparison``), the controls are asked (``checks``), totals are drawn up
(``totals``), and what was found is written down in the ledger night by night (``night``).
"""
