"""Copies for trackers, as Weights & Biases and TensorBoard: off the path of every run."""
