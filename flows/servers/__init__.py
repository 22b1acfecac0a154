"""Starts Prefect and MLflow servers as child processes, checks servers, and serves models.

Imports ``models``, ``tasks`` and ``flows.configuration``.
"""
