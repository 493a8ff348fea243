"""The five steps of a leg: extract, reconcile, validate, load, settle."""
