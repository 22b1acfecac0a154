"""Units of work with effects: datasets, cache, analysis, pages, MLflow, and the steps of a study.

Imports ``models``; only ``flows`` imports it. Its rooms import each other in one direction.
"""
