"""From raw files and folders to one tensor of images.

Imports ``models`` and ``tasks.system``.
"""
