"""A forecast.

Windows of 36 months, of which the network reads 24 and learns to predict 12. The last year was not trained on.
"""

import matplotlib.pyplot as plt

from tsae import LSTMAutoencoder, make_windows
from tsae.datasets import load_sea_surface_temperature

table = load_sea_surface_temperature()
windows = make_windows(table[:-12], width=36, time_column="time")
autoencoder = LSTMAutoencoder(units=32, decoder="prediction", horizon=12, epochs=30, random_state=0).fit(windows)
ahead = autoencoder.forecast(windows[-1:])[0, :, 0]  # continues the last window

figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
axes.plot(table["time"][-60:], table["temperature"][-60:], label="measured")
axes.plot(table["time"][-12:], ahead, label="forecast")
axes.set_ylabel("temperature (degrees C)")
axes.legend()
