"""What is tried against a linear head on the default features, each at a stated cost."""
