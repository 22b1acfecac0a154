"""Network architectures as ``torch.nn`` modules, and their initial weights.

Imports torch and ``models.specs`` only.
"""
