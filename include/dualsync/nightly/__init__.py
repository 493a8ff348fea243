"""The nightly reconciliation: reads both systems, compares, asks the controls, and publishes what it found."""
