"""Pure torch: networks, objectives, training, measures. No engine, tables or plots.

Imports torch and pydantic, and no other package of the project. ``models.specs`` loads no torch.
"""
