"""The Dataverse Web API, version 9.2."""
