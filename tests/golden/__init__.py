"""Golden results and a golden report: what may change only on purpose."""
