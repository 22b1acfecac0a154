"""Before, around and after a run: environment, task runners, interrupts, recovery, automations.

Imports ``models``, ``tasks``, ``flows.configuration`` and ``flows.servers``.
"""
