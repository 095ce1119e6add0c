"""The figures, one a file: study in, a drawing out."""
