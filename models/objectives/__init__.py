"""Losses that a training minimizes, as functions of outputs and targets.

Imports torch, ``models.specs`` and ``models.networks``.
"""
