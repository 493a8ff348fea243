"""Proforma invoices, from what is ready to invoice to their correction."""
