"""Lookups: the row on one side that a reference on the other side means."""
