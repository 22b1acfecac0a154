"""A user's own code, such as networks: read as text, keyed by what it reaches, and run.

Imports ``models``, ``system`` and ``cache``. Code is read only where the person who starts a study
names it: nothing from a store, an artifact, a form or a report is ever run.
"""
