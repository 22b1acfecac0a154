"""Servers of Prefect and MLflow as child processes, and whether servers answer.

Imports ``models``, ``tasks`` and ``flows.configuration``.
"""
