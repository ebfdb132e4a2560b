"""Learning rate schedules."""

from __future__ import annotations

import numpy as np


def cosine_rates(peak: float, n_steps: int) -> np.ndarray:
    """Learning rate of each step: linear warm-up, then cosine decay.

    Loshchilov & Hutter 2017, section 3, without restarts. The rate rises from 0 to `peak` over the first twentieth of
    the steps and falls along half a cosine to 0 at the last.

    Parameters
    ----------
    peak : float
    n_steps : int

    Returns
    -------
    float32 array of shape (n_steps,)
    """
    step = np.arange(n_steps)
    warm_up = max(1, n_steps // 20)
    falling = 0.5 * (1 + np.cos(np.pi * (step - warm_up) / max(1, n_steps - warm_up)))
    return (peak * np.where(step < warm_up, (step + 1) / warm_up, falling)).astype(np.float32)
