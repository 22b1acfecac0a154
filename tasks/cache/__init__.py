"""What makes a task's key, and where finished tasks are kept: entries, stores, checkpoints.

Imports ``models`` and the rooms before it: system, datasets.
"""
