"""What is asked: the validated study, its YAML and overrides, the grid it means, its cost.

Imports ``models``, ``tasks`` and no other room of ``flows``.
"""
