"""Everything about runs in MLflow: configuration, logging, logged models, views and export.

Imports ``models``, the rooms before it up to reporting, and mlflow. MLflow reads the environment
variables below when it is imported, so they are set here.
"""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# The tracker itself repeats a request that failed. It first looks up what the server has done: a
# request that timed out may have been carried out. MLflow would repeat it blindly for four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
logging.getLogger("alembic").setLevel(logging.ERROR)
# it prints each error that it raises, with the SQL statement and its values
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
