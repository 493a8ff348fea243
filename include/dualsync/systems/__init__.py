"""Speaks to the two systems: sign-in, HTTP with limits and retries, OData, Dataverse, Finance.

::

    with open_systems(settings) as systems:
        for page in systems.dataverse.read("msdyn_projects", select=["msdyn_projectnumber", "msdyn_subject"]):
            ...

Both clients are safe to share between threads. Errors are those of `dualsync.errors`.
"""
