"""From a folder of photographs to a decision and a model: what to train, what to expect of it, and
the trained model itself. Imports what trains and what reports, and neither grid nor command line.
"""
