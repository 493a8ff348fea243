"""``make run``: the sandbox and Airflow on this machine, and a working day that is carried through them.

Everything listens on the loopback address, on free ports, and keeps its state below ``.dualsync``. Airflow is used from
the outside only, by its command line and its REST API.
"""
