"""A step as a Prefect task, and what computes it: worker processes, Dask, stacks of seeds.

Imports ``models`` and the rooms before it, up to tracking.
"""
