"""Single blocked or waiting rows, tried again. Started by hand or from the pages."""

from dualsync_airflow.repair.dag import replay_dag

dag = replay_dag(
    "replay_rows",
    title="Replay blocked or waiting rows",
    when="you have corrected what blocked a row and do not want to wait for its next run",
)
