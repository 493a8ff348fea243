"""Data management of Finance: data packages, the files they lie in, and recurring integrations."""
