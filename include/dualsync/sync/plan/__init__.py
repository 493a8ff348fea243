"""What the steps agree on: columns of a transfer, values and their types, equality, the base."""
