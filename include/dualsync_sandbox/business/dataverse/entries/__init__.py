"""Entries of time, expenses and materials, and their approval."""
