"""Features in a plane.

One point per window, coloured by the pump it comes from, which nobody told the network.
"""

from tsae import EmbeddingDisplay, LSTMAutoencoder, make_windows
from tsae.datasets import PUMP_SENSORS, load_pumps

windows = make_windows(
    load_pumps(), width=48, stride=24, id_column="machine", time_column="time", value_columns=PUMP_SENSORS
)
autoencoder = LSTMAutoencoder(units=16, epochs=4, random_state=0).fit(windows)
figure = EmbeddingDisplay.from_estimator(autoencoder, windows, windows.index["series"]).figure_
