"""The score of windows that are unlike every window of training."""

from __future__ import annotations

import numpy as np

from tsae.anomaly.rebuilding import RebuildingErrors
from tsae.anomaly.scores import score_method
from tsae.data.splitting import evenly_spaced

# Windows that are kept, and the numbers that they hold in all, which a model file has to carry.
MAX_NEIGHBORS, MAX_NUMBERS = 1_000, 1 << 21
# Values count as at most so many standard deviations from the mean when the nearest window is looked for. How far a
# value is out decides nothing any more, and the other channels still do.
LARGEST_STANDARDISED = 100.0


@score_method("neighbors")
class NeighborErrors(RebuildingErrors):
    """Squared errors between a window and the nearest one of training, channel by channel, on a logarithmic scale.

    Up to 1,000 evenly spaced training windows are kept, of at most two million values together. The nearest has the
    least sum of squared differences of all values.

    Attributes
    ----------
    windows_ : float32 array of shape (n_kept, n_timesteps * n_channels)
        Standardised.

    References
    ----------
    Ramaswamy, Rastogi, Shim, "Efficient algorithms for mining outliers from large data sets" (SIGMOD 2000), section 2
    (the distance to the nearest neighbours as a score).

    Examples
    --------
    >>> import numpy as np
    >>> score = NeighborErrors()
    >>> score.learn(np.array([[0.0, 1.0], [2.0, 2.0]]))
    >>> score.rebuilt(np.array([[0.0, 2.5], [9.0, 0.0]]))
    array([[0., 1.],
           [2., 2.]])
    """

    def learn(self, flat: np.ndarray) -> None:
        """Keep windows.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)
        """
        n_kept = max(1, min(MAX_NEIGHBORS, MAX_NUMBERS // flat.shape[1]))
        self.windows_ = flat[evenly_spaced(len(flat), n_kept)].astype(np.float32)

    def rebuilt(self, flat: np.ndarray) -> np.ndarray:
        """Return the nearest window to each.

        Parameters
        ----------
        flat : float64 array of shape (n_windows, n_timesteps * n_channels)

        Returns
        -------
        float64 array of the same shape
        """
        # In float64, so that rounding does not make another window the nearest when it is scored among others.
        kept = self.windows_.astype(np.float64)
        near = np.clip(flat, -LARGEST_STANDARDISED, LARGEST_STANDARDISED)
        half_distances = np.square(kept).sum(axis=1) / 2 - near @ kept.T  # but for what all have in common
        return kept[half_distances.argmin(axis=1)]
