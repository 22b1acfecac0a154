"""What store entries hold, loaded, and what a computation may ask of its worker.

Imports ``models`` and the rooms before it: system, datasets, cache.
"""
