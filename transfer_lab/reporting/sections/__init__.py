"""The sections of a report, one a file: study in, blocks out."""
