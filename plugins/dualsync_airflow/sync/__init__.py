"""DAGs of the areas: their tasks and the builder of their graphs."""
