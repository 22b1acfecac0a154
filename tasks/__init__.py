"""Units of work with effects: one file per step of the study, and the rooms they share.

Steps compute in worker processes. They import torch and matplotlib inside their functions, so the
process that orchestrates stays small and starts fast.
"""
