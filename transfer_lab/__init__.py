"""transfer_lab: measured evidence on which transfer-learning regime fits your data."""

__version__ = "0.1.0"
