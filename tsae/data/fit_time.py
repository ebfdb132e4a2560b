"""A rough time that training takes on this machine, before anything is trained.

The gates of an LSTM of 64 units are computed with numpy for one step of a batch, and timed, which takes a millisecond.
The default `LSTMAutoencoder` makes 600 updates (more, where one pass over the windows has more batches), each of which
takes the steps of a window through its layers in both directions. How much longer a step of training takes than what
is timed, how long an update takes besides its steps, and how long it takes to build the network, was measured once, on
two busy cores. The result is right up to a factor of two or three: training uses all cores, other programs take some
of them, and processors differ in what they do well.
"""

from __future__ import annotations

import time

import numpy as np

UNITS, N_LAYERS = 64, 3  # of the default LSTMAutoencoder, as are the numbers of updates and of windows in a batch
N_UPDATES = 600
BATCHES = 32, 8, 128  # so many batches, of this size at least and at most
PER_STEP = 10.0
PER_UPDATE, BUILDING = 0.01, 11.0  # seconds
N_TIMED, N_TRIALS = 10, 5


def fit_seconds(n_windows: int, width: int) -> float:
    """Estimate how long ``LSTMAutoencoder().fit`` takes.

    Parameters
    ----------
    n_windows : int
        At least 1.
    width : int
        Steps of a window.

    Returns
    -------
    float
        Seconds.

    Examples
    --------
    >>> fit_seconds(4000, 48) > 0
    True
    """
    n_batches, smallest, largest = BATCHES
    batch = int(np.clip(n_windows // n_batches, smallest, largest))
    updates = max(N_UPDATES, -(-n_windows // batch))
    return BUILDING + updates * (PER_UPDATE + width * 2 * N_LAYERS * PER_STEP * _time_step(batch))


def _time_step(batch: int) -> float:
    """Time the gates of one step of an LSTM on a batch: seconds, the shortest of some trials.

    Products of matrices are left out: numpy takes all cores for them, which stalls where they are busy.
    """
    sums = np.random.default_rng(0).normal(size=(batch, 4 * UNITS)).astype(np.float32)
    cell = np.zeros((batch, UNITS), np.float32)
    shortest = np.inf
    for _ in range(N_TRIALS):
        began = time.perf_counter()
        for _ in range(N_TIMED):
            gates = 1 / (1 + np.exp(-sums[:, : 3 * UNITS]))
            cell = gates[:, :UNITS] * cell + gates[:, UNITS : 2 * UNITS] * np.tanh(sums[:, 3 * UNITS :])
            _ = gates[:, 2 * UNITS :] * np.tanh(cell)
        shortest = min(shortest, (time.perf_counter() - began) / N_TIMED)
    return float(shortest)
