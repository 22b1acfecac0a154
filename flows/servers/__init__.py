"""Starts Prefect and MLflow servers as child processes, and checks whether servers answer.

Imports ``models``, ``tasks`` and ``flows.configuration``.
"""
