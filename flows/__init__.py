"""Composition: study configurations, the flows and the command line."""
