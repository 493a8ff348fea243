"""DAGs that replay rows, send exceptions again, and ask a person to approve."""
