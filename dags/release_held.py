"""Legs that a guard held: asks a person whether they shall run."""

from dualsync_airflow.repair.dag import release_dag

dag = release_dag("release_held")
