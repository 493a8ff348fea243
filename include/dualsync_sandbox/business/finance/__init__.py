"""What Finance does by itself when rows are saved, and its batch jobs."""
