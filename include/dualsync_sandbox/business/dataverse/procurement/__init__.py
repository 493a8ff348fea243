"""Subcontracts and project vendor invoices."""
