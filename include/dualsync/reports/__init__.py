"""What people read: workbook, files and Data Docs of a reconciliation, alerts, printed tables, and their words."""
