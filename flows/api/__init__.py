"""The same from Python and notebooks: ``from flows import Study``.

Imports everything in ``flows`` but the commands. Nothing here changes the state of the process that
uses it: a study runs in a process of its own.
"""
