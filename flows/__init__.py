"""Composition only: which tasks a study has, how they run, and the command line.

Imports ``tasks`` and ``models``; nothing imports it. Importing this package loads no engine.
"""
