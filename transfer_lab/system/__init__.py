"""The machine and its files: folders, atomic writes, checksums, images on disk, processors. Knows
nothing of experiments and imports no other room.
"""
