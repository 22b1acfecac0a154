"""The command line, one command a file.

Imports everything; nothing imports it.
"""
