"""Dualsync in Airflow: connection types, and the DAGs of the integration areas.

Imports point one way: DAG files import this package, and this package imports ``dualsync``.
"""
