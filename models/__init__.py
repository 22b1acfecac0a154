"""Pure torch: architectures, training loop, metrics. No engine, no tables, no pictures.

Import what you need from the modules; `models.specs` alone costs no torch import.
"""
