"""The steps of a study, one file each: what a step computes, and its declaration.

Imports ``models`` and every other room of ``tasks``; no step imports another.
"""
