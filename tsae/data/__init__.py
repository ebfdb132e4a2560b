"""Series and windows: what goes into estimators."""
