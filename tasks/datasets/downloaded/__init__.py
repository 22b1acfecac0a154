"""Files of datasets that are downloaded: where they are, whether they are intact, how they come.

Imports ``models``, ``tasks.system`` and ``tasks.datasets.dataset``.
"""
