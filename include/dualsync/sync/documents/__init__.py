"""Documents: a header and its lines that are one thing, such as a vendor invoice."""
