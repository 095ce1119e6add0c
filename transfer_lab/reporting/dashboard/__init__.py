"""A page on this machine that compares experiments and runs, live while a grid trains. No torch."""
