"""The boxes of the section ``representation``: what latents hold, how alike they are, maps.

It may import what other steps may: all rooms of ``tasks`` before them, and ``models``.
"""
