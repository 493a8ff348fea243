"""What every step is given: the run, the transfer (one map, direction and company), its folder, and the systems."""
