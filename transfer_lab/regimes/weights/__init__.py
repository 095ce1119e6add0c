"""Which weights come from the source, how far they may move, and what else is asked of them."""
