"""Integration journals: staging, import, posting."""
