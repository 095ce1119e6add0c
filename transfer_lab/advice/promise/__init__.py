"""What may be expected of new photographs: probe, folds, interval, forecast."""
