"""Many runs: preflight, order, workers, progress. Imports everything but `reporting`, `stats` and
what people call.
"""
