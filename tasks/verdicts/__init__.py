"""Claims, the comparisons over seeds that test them, and verdicts; docs/verdicts.md explains them.

Imports ``models`` and the rooms before it, up to analysis.
"""
