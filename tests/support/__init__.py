"""What tests share: worlds, working days, Airflow runs, broken-off processes."""
