"""Network architectures as ``torch.nn`` modules, and their initial weights.

Imports torch, numpy and the files of ``models`` before it only.
"""
