"""All that MLflow holds, in a form in which two MLflows can be compared."""

import re

from tasks.tracking.client import INVOCATION_TAG, KIND_TAG, connect, search_everywhere

# What differs between equal studies: times, and the identifiers of runs and commits.
OWN = re.compile(r"study\.(invocation|trained_by|commit)|mlflow\.(runName|note|source|user).*")
UNIQUE = re.compile(r"\+timestamp\+\d+\+[0-9a-f-]{36}")


def logged(invocation=None):
    """What every run shows, a run a line; of parent runs only that of this invocation."""
    client = connect()
    return sorted(
        shown(client, run)
        for run in search_everywhere(client, "")
        if invocation is None or run.data.tags.get(INVOCATION_TAG, invocation) == invocation
    )


def shown(client, run):
    """One run as text: status, parameters, every point of every metric, tags, files, models."""
    info, data = run.info, run.data
    histories = {
        name: client.get_metric_history(info.run_id, name) for name in sorted(data.metrics)
    }
    points = {name: [(one.step, one.value) for one in found] for name, found in histories.items()}
    tags = {name: text for name, text in sorted(data.tags.items()) if not OWN.fullmatch(name)}
    files = sorted(UNIQUE.sub("", path) for path in files_below(client, info.run_id))
    of_run = f"source_run_id = '{info.run_id}'"
    models = client.search_logged_models([info.experiment_id], of_run)
    found = sorted((one.name, str(one.status), one.tags["study.digest"]) for one in models)
    parts = (
        data.tags[KIND_TAG],
        info.status,
        sorted(data.params.items()),
        points,
        tags,
        files,
        found,
    )
    return " ".join(map(str, parts))


def files_below(client, run_id, folder=None):
    for file in client.list_artifacts(run_id, folder):
        if file.is_dir:
            yield from files_below(client, run_id, file.path)
        else:
            yield file.path
