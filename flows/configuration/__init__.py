"""The configuration of a study: its values, YAML files, overrides, models and their cost.

Imports ``models``, ``tasks`` and no other room of ``flows``.
"""
