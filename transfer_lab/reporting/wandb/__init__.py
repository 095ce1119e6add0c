"""Copies for Weights & Biases."""
