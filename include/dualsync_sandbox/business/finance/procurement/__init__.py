"""Purchase orders, subcontracts, receipts and vendor invoices."""
