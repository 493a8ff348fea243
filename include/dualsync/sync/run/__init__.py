"""Runs: starts them, takes each transfer through its steps, and says how they ended."""
