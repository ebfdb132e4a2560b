"""Features in a plane.

One point per window of six pumps, coloured by the regime at the end of the window. The network never saw a regime.
"""

from tsae import EmbeddingDisplay, LSTMAutoencoder, make_windows
from tsae.datasets import PUMP_SENSORS, load_pumps

pumps = load_pumps()
windows = make_windows(pumps, width=48, stride=24, id_column="machine", time_column="time", value_columns=PUMP_SENSORS)
ends = windows.index.merge(pumps, left_on=["series", "end"], right_on=["machine", "time"], how="left")
autoencoder = LSTMAutoencoder(units=16, epochs=4, random_state=0).fit(windows)
figure = EmbeddingDisplay.from_estimator(autoencoder, windows, ends["regime"]).figure_
