"""Project contracts: what projects, customers and milestones follow from them."""
