"""Numbers in, numbers out: intervals, tests, rules. No torch, no pandas frame of ours; imports no
other room.
"""
