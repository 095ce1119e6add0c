"""How far a source domain is from a target: measures, the pairs they are taken of, what is stored
of them. Imports `data`, `store`, `backbones`, `experiment` and `system`.
"""
