"""Photographs as a person hands them over, and the class of each. No torch."""
