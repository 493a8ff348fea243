"""Project invoice proposals and the invoices posted from them."""
