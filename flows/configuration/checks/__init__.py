"""Whether a study can run: its networks and measures, its claims, its memory.

Imports what the rest of ``flows.configuration`` imports, and its settings and grid.
"""
