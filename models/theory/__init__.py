"""The written study's exercises, checked in double precision.

Imports torch and any room of ``models``.
"""
