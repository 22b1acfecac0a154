"""The hand-written training step for the networks that it knows, equal to torch's up to rounding.

Imports torch and the rooms before it: specs, networks, objectives, training.
"""
