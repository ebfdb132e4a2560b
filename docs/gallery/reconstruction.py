"""A window and its reconstruction.

Two years of sea surface temperature, and what the decoder makes of the vector that they were encoded as.
"""

from tsae import LSTMAutoencoder, ReconstructionDisplay, make_windows
from tsae.datasets import load_sea_surface_temperature

windows = make_windows(load_sea_surface_temperature(), width=24, time_column="time")
autoencoder = LSTMAutoencoder(units=32, decoder="reconstruction", epochs=20, random_state=0).fit(windows)
figure = ReconstructionDisplay.from_estimator(autoencoder, windows, window=380).figure_
