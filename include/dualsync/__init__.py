"""Keeps Dynamics 365 Project Operations on Dataverse and Dynamics 365 Finance in step, and proves that they are."""
