"""Requests to Dataverse that read rows."""
