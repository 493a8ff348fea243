"""Step 2, reconcile: rows in the receiver's form, compared with what stands there; the result is the plan."""
