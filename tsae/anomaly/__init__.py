"""From errors to calibrated, explained events."""
