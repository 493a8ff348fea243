"""What people read: so far the table of a run's legs."""
