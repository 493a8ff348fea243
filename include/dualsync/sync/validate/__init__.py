"""Step 3, validate: the suite of the map over what would be written; what the receiver would refuse is quarantined."""
