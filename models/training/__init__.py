"""The training loop, optimizers, snapshots and stacked parameters, whichever step computes.

Imports torch and the rooms before it: specs, networks, objectives.
"""
