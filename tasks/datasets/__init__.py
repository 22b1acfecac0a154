"""Reads raw files and folders of images into one tensor.

Imports ``models`` and ``tasks.system``.
"""
