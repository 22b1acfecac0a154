"""What tests of MLflow share: an entry with its plan."""

from tasks.cache.entry import Entry
from tasks.tracking.client import KIND_TAG, search_everywhere
from tasks.tracking.run_plan import RunPlan

HISTORY = [{"epoch": n, "train_loss": 0.1, "test_loss": 0.2, "learning_rate": 0.01} for n in (1, 2)]
PLAN = RunPlan("model", "key", "train[x]", {"depth": 2, "latent_dim": 3}, None)
ENTRY = Entry(
    task="train",
    key="key",
    name="train[x]",
    seconds=1,
    result={
        "history": HISTORY,
        "metrics": {"final_test_loss": 0.2},
        "parameters": {"n_parameters": 9},
    },
    provenance={"commit": "c"},
    inputs={},
    code={},
    files={},
)


def only_run(client, kind="model"):
    (run,) = search_everywhere(client, f"tags.`{KIND_TAG}` = '{kind}'")
    return run
