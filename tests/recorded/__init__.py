"""Recordings: the decisions of a played week, and the state that an earlier version left behind."""
