"""Exact arithmetic for amounts and rates."""

from __future__ import annotations

from decimal import Context

EXACT = Context(prec=76)
"""Wide enough for any product of two numbers of 38 digits, the longest that Arrow's ``decimal128`` holds."""
