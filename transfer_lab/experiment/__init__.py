"""What is asked: the vocabulary as frozen data, the YAML file, the names of kinds, the plan of
cells. Free of torch; imports `system` alone.
"""
