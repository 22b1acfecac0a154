"""What belongs to one machine: folders, files, locks, cores and GPU, server addresses.

Imports ``models.specs`` and no other room of ``tasks``.
"""
