"""The protocols of both systems: requests and replies, key predicates, batches, and OData queries."""
