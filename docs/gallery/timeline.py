"""Anomaly scores of a pump, with the events found.

The detector is trained on the three weeks before the first fault. Events are stretches above the threshold.
"""

from tsae import AnomalyDetector, LSTMAutoencoder, TimelineDisplay, make_windows
from tsae.datasets import PUMP_SENSORS, load_pumps

windows = make_windows(
    load_pumps(), width=48, stride=12, id_column="machine", time_column="time", value_columns=PUMP_SENSORS
)
healthy = (windows.index["end"] < "2024-01-22").to_numpy()
network = LSTMAutoencoder(units=8, bidirectional=False, decoder="reconstruction", epochs=5)
detector = AnomalyDetector(network, random_state=0).fit(windows[healthy])
figure = TimelineDisplay.from_estimator(detector, windows, series="pump_4").figure_
