"""Jobs on tables: train a model, export features, find anomalies, from the command line or from Python."""
