"""The hand-written training step for known networks, equal to torch's up to rounding: README.md.

Imports torch and the rooms before it: specs, networks, objectives, training.
"""
