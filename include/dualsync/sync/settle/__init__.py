"""Step 5, settle: the new base, the change token and the counts, in one transaction of the ledger."""
