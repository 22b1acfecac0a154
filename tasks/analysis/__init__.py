"""Numbers from results: tables, intervals over seeds, reproduced and published results.

Imports ``models`` and the rooms before it: system, datasets, cache, artifacts.
"""
