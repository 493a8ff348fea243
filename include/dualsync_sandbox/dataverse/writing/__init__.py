"""Requests to Dataverse that write rows."""
