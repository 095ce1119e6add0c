"""One run: build it, fit it, search its options, test it, record it. Imports everything below
`grid` but `reporting`.
"""
