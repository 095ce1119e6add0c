"""Copies for Weights & Biases: off the path of every run."""
