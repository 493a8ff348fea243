"""The OData service of Dynamics 365 Finance, at ``/data``."""
