"""All that writes outside an ordinary run: replay of rows, transfers that need approval, sending again; and explain."""
