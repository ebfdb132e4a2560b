"""LSTM sequence autoencoders for time series, as scikit-learn estimators."""
