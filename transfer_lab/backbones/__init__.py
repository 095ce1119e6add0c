"""Feature extractors made of ordered stages, their weights, and what computes them faster. Imports
`experiment` and `system`.
"""
