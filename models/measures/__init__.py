"""Measures of reconstructions, latent vectors, predictions and learning curves.

Imports torch and any room of ``models`` except ``theory``.
"""
