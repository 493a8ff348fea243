"""What every request passes on its way to a service: sign-in, limits, planned faults, and the trace."""
