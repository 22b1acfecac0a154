"""Everything about MLflow; no other package imports it. Its settings come before its import."""

import logging
import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
# The tracker asks a server in trouble again, and first looks what it did: a request that was not
# answered in time may be carried out all the same. MLflow itself would repeat it for four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
logging.getLogger("alembic").setLevel(logging.ERROR)
# it prints what it raises, with the SQL and its values
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
