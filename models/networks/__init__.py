"""Network architectures as ``torch.nn`` modules, and how their weights start.

Imports torch and ``models.specs`` only.
"""
