"""The command line: what each command does, and what it prints. Imports every room but `training`
and `stats`.
"""
