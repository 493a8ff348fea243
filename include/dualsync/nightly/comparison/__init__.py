"""The full comparison of every table map, row by row."""
