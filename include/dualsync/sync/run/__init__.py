"""Runs: how they are started, how each step is run and tried again, and a whole run in one process."""
