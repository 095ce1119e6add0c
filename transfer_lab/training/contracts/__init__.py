"""What must hold for every regime, domain and backbone, as functions that raise where it does not.

`transfer_lab.testing` runs them for a class of one's own, the tests for everything registered.
"""
