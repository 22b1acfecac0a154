"""Loads the content of store entries; and a computation's worker: its listener and its device.

Imports ``models`` and the rooms before it: system, datasets, cache.
"""
