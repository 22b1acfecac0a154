"""The command line, with one file for each command.

Imports everything; nothing imports it.
"""
