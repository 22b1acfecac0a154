"""This machine: folders, files, locks, cores and GPU, addresses without secrets.

Imports ``models.specs`` and no other room of ``tasks``.
"""
