"""One box of the diagram a file: what it computes, and how it is declared.

Imports ``models`` and every other room of ``tasks``; no step imports another.
"""
