"""The controls, one module each; each declares ``CONTROL``."""
