"""Connection types, and the library opened with what Airflow knows."""
