"""The written study's theory exercises, checked numerically in double precision.

Imports torch and any room of ``models``.
"""
