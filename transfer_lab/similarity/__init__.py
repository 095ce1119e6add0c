"""Measures of how far a source domain is from a target: numbers in, numbers out."""
