"""Step 4, load: writes the plan, batch by batch, and keeps each acknowledgement."""
