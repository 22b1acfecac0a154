"""Runs a step as a Prefect task, in worker processes or on Dask, and records each invocation.

Imports ``models`` and the rooms before it, up to tracking.
"""
