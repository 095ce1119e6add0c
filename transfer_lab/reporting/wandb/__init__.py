"""Copies of finished runs at Weights & Biases. Imports `experiment`, `store` and `system`."""
