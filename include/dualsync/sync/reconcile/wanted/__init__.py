"""Wanted rows: rows of the sending side in the form of the receiving side, each column by what it is."""
