"""Blocks as Markdown, as a page, as LaTeX, as CSV."""
