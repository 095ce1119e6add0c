"""Numbers in, numbers out: rules and intervals. No torch."""
