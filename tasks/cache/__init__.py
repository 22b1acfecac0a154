"""The keys of tasks, and where results are stored: entries, two stores, checkpoints.

Imports ``models`` and the rooms before it: system, datasets.
"""
