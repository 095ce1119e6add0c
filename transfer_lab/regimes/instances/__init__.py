"""Labelled images of the source beside those of the target."""
