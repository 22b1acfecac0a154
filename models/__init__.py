"""Pure torch: networks, objectives, training, measures. No engine, no tables, no pictures.

Imports torch and pydantic, and no other package of the project. ``models.specs`` loads no torch.
"""
