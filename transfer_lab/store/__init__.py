"""What lies under `runs/`: records, curves, trials, frozen outputs, and the locks around them.
Imports `experiment` and `system`.
"""
