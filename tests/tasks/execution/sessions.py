"""A session for tests: it computes in the calling thread and records what tasks report."""

from tasks.execution.seed_stacks import SeedStacks
from tasks.execution.session import Session

EPOCH = {"epoch": 1, "epochs": 1, "train_loss": 0.5, "test_loss": 0.5, "learning_rate": 0.1}


class Recorder:
    """Takes every method call and records it as ``(method, argument, ...)``."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, method):
        def record(*arguments, **named):
            self.calls.append((method, *arguments, *named.values()))

        return record

    def to(self, method):
        """The arguments of every call of one method."""
        return [arguments for name, *arguments in self.calls if name == method]


class SameThreadWorkers:
    """Computes in the calling thread, and reports these epochs of every computation."""

    dask_context = None

    def __init__(self, events=()):
        self.events, self.stopped, self.listener = events, False, None

    def run(self, function, arguments, on_event):
        for event in self.events:
            on_event(dict(event))
        return function(**arguments)

    def listen(self, session):
        self.listener = session

    def stop(self):
        self.stopped = True


def recorded_session(workers=None, forced=(), stack_size=1):
    """A session whose display, tracker and log are recorders."""
    workers = workers or SameThreadWorkers()
    parts = Recorder(), Recorder(), Recorder()
    return Session(workers, *parts, set(forced), SeedStacks(stack_size))
