"""The training loop, optimizers, snapshots and stacked parameters, for any training step.

Imports torch and the rooms before it: specs, networks, objectives.
"""
