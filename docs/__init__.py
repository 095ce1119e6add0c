"""The documentation's sources, and what keeps them true: reference and quoted numbers."""
