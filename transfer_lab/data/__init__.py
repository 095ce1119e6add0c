"""Domains: datasets with fixed test sets and seeded, nested training subsets. Imports `experiment`
and `system`.
"""
