"""Learning curves.

Training and validation loss by epoch. The validation windows share no row with those that are trained on.
"""

from tsae import HistoryDisplay, LSTMAutoencoder, make_windows
from tsae.datasets import load_sea_surface_temperature

windows = make_windows(load_sea_surface_temperature(), width=24, time_column="time")
autoencoder = LSTMAutoencoder(
    units=16, decoder="reconstruction", epochs=30, validation_fraction=0.2, random_state=0
).fit(windows)
figure = HistoryDisplay.from_estimator(autoencoder).figure_
