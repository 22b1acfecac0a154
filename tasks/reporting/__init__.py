"""Pages and pictures: plots (the one importer of matplotlib), figures, templates.

Imports ``models`` and the rooms before it, up to analysis.
"""
