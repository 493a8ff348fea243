"""The general ledger: entries, periods, exchange rates, taxes."""
