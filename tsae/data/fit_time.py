"""A rough time that training takes on this machine, before anything is trained.

The gates of an LSTM are computed with numpy for one step of a batch, and timed, which takes a millisecond. The default
`LSTMAutoencoder` makes 600 updates (more, where one pass over the windows has more batches), each of which takes a
stretch of the windows through its layers in both directions. How much longer a step of training takes than what is
timed, how long an update takes besides its steps, and how long it takes to build the network, was measured once, on
two busy cores. The result is right up to a factor of two or three: training uses all cores, other programs take some
of them, and processors differ in what they do well.
"""

from __future__ import annotations

import time

import numpy as np

UNITS, N_LAYERS = 64, 3  # of the default LSTMAutoencoder, as are the numbers of updates and of windows in a batch
N_UPDATES = 600
LONGEST = 64  # steps that are trained on at a time
BATCHES = 32, 8, 128  # so many batches, of this size at least and at most
PER_STEP = 10.0
PER_UPDATE, BUILDING = 0.01, 11.0  # seconds
N_TIMED, N_TRIALS = 10, 5
FIRST_LOOK = {"units": 16, "n_layers": 1, "epochs": 3}  # quick settings to begin with


def fit_seconds(
    n_windows: int, width: int, units: int = UNITS, n_layers: int = N_LAYERS, epochs: int | None = None
) -> float:
    """Estimate how long ``LSTMAutoencoder().fit`` takes, or that of a smaller network.

    Parameters
    ----------
    n_windows : int
        At least 1.
    width : int
        Steps of a window.
    units, n_layers : int
        Of bidirectional layers.
    epochs : int, default=None
        None: "auto".

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> fit_seconds(4000, 256) > fit_seconds(4000, 256, **FIRST_LOOK) > 0
    True
    """
    n_batches, smallest, largest = BATCHES
    batch = int(np.clip(n_windows // n_batches, smallest, largest))
    per_epoch = -(-n_windows // batch)
    updates = max(N_UPDATES, per_epoch) if epochs is None else epochs * per_epoch
    update = PER_UPDATE + min(width, LONGEST) * 2 * n_layers * PER_STEP * _time_step(batch, units)
    return BUILDING * n_layers / N_LAYERS + updates * update


def rough_time(seconds: float) -> str:
    """Round a time that is known up to a factor of two or three.

    Examples
    --------
    >>> rough_time(3), rough_time(42), rough_time(500), rough_time(8000)
    ('less than 10 s', 'about 40 s', 'about 8 min', 'about 2 h')
    """
    if seconds < 10:
        return "less than 10 s"
    if seconds < 100:
        return f"about {round(seconds, -1):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.0f} h"


def _time_step(batch: int, units: int) -> float:
    """Time the gates of one step of an LSTM on a batch: seconds, the shortest of some trials.

    Products of matrices are left out: numpy takes all cores for them, which stalls where they are busy.
    """
    sums = np.random.default_rng(0).normal(size=(batch, 4 * units)).astype(np.float32)
    cell = np.zeros((batch, units), np.float32)
    shortest = np.inf
    for _ in range(N_TRIALS):
        began = time.perf_counter()
        for _ in range(N_TIMED):
            gates = 1 / (1 + np.exp(-sums[:, : 3 * units]))
            cell = gates[:, :units] * cell + gates[:, units : 2 * units] * np.tanh(sums[:, 3 * units :])
            _ = gates[:, 2 * units :] * np.tanh(cell)
        shortest = min(shortest, (time.perf_counter() - began) / N_TIMED)
    return float(shortest)
