"""A digest of the code that a step runs, which is part of its key.

Imports ``system``.
"""
