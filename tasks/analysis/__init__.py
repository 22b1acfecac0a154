"""Numbers from results: tables, intervals over seeds, claims and verdicts, published results.

Imports ``models`` and the rooms before it: system, datasets, cache, artifacts.
"""
