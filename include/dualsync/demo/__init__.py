"""`make run`: the sandbox and Airflow on this machine, and one synchronisation through them.

Everything listens on the loopback address, on free ports, and keeps its state below `.dualsync`. Airflow is used from
the outside only, by its command line and its REST API.
"""
