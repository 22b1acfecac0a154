"""Runs networks that torch.export saved, without running anything else that a file may hold.

torch's own loader evaluates expressions, unpickles and looks up functions by name. This room reads
the same files as plain data and calls only the operators of a fixed list. Imports torch, pydantic
and ``models.specs`` only.
"""
