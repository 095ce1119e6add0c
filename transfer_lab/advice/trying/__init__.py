"""A page on this machine to drop a photograph on, and see what a model answers."""
