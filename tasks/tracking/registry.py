"""The best models of a study's dataset, under names and aliases in MLflow's registry."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from tasks.tracking.client import KIND, STUDY, search_everywhere
from tasks.tracking.config import mlflow_config
from tasks.tracking.logged_models import models_of, register_model

BEST = "best"


class Registered(NamedTuple):
    """A registered model: its name, version and alias, the run it is from and what that scored."""

    name: str
    version: str
    alias: str
    run: str
    metric: str
    value: float


def register_best(client: MlflowClient, study: str) -> list[Registered]:
    """Register the best models of every latent size, and the best of all, of a study's dataset.

    All finished runs on the same images count, whichever study made them: autoencoders by their
    test loss, classifiers by their test accuracy (so these are optimistic for the best). Names are
    ``PREFIX-STUDY-PART``, aliases ``d20`` for latent size 20, and ``best``.
    Raises LookupError if nothing is there to register.
    """
    finished = "attributes.status = 'FINISHED'"
    name = re.sub(r"[^\w.-]", "", study)  # MLflow's conditions know no escapes
    parents = search_everywhere(client, f"tags.`{STUDY}` = '{name}' AND tags.`{KIND}` = 'study'")
    used = [one.dataset for run in parents if run.inputs for one in run.inputs.dataset_inputs]
    if not used:
        raise LookupError(f"no study {study!r} with a dataset is in MLflow")
    same = f"{finished} AND params.dataset_sha256 LIKE '{used[0].digest}%'"
    models = search_everywhere(client, f"{same} AND tags.`{KIND}` = 'model'")
    transfers = search_everywhere(client, f"{same} AND tags.`{KIND}` = 'transfer'")
    found = [
        *_register(client, name, models, "final_test_loss", lambda value: value),
        *_register(client, name, transfers, "test_accuracy", lambda value: -value),
    ]
    if not found:
        raise LookupError(f"the runs of {study!r} hold no models; run it again to log them")
    return found


def _register(
    client: MlflowClient,
    study: str,
    runs: list[Run],
    metric: str,
    badness: Callable[[float], float],
) -> Iterator[Registered]:
    usable = [run for run in runs if metric in run.data.metrics and models_of(run)]
    usable.sort(key=lambda run: badness(run.data.metrics[metric]))
    best: dict[str, Run] = {}
    for run in usable:
        best.setdefault(f"d{run.data.params['latent_dim']}", run)
        best.setdefault(BEST, run)
    for alias, run in best.items():
        of_run = f"source_run_id = '{run.info.run_id}'"
        for model in client.search_logged_models([run.info.experiment_id], of_run):
            parts = (mlflow_config().registered_model, study, model.name)
            version = register_model(client, "-".join(parts), model, alias)
            value = run.data.metrics[metric]
            yield Registered(
                version.name, str(version.version), alias, str(run.info.run_name), metric, value
            )
