"""Step 1, extract: what changed on the sending side, and the matching rows of the receiving side."""
