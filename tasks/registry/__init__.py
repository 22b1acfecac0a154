"""MLflow's registry of models: a study's best models are registered, and registered ones loaded.

Imports ``models``, the rooms before it up to tracking, and mlflow.
"""

import tasks.tracking  # noqa: F401  # sets MLflow's environment variables before it is imported
