"""The control plane: what a test or a person may do to the sandbox that no client of the real systems could."""
