"""Compact features: principal components of what is pooled from the states."""

from __future__ import annotations

import numpy as np

MAX_WINDOWS = 20_000  # training windows that components are computed from
# A value that varies less, against its size, is constant but for rounding.
LEAST_SPREAD = 1e-6


def standardisation(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what brings each column to mean 0 and standard deviation 1, and constant ones to 0.

    Parameters
    ----------
    values : array of shape (n, n_columns)

    Returns
    -------
    mean, inverse_std : float64 arrays of shape (n_columns,)
        To subtract, and then to multiply by; 0 in `inverse_std` where a column is constant.
    """
    mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    varies = std > LEAST_SPREAD * np.maximum(np.abs(mean), 1e-3)
    return mean, np.divide(1.0, std, out=np.zeros_like(std), where=varies)


def principal_components(pooled: np.ndarray, n_components: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the principal components of standardised values.

    Parameters
    ----------
    pooled : float32 array of shape (n_windows, n_pooled)
    n_components : int
        At most the smaller of `n_windows` and `n_pooled`.
    seed : int
        Of the randomised decomposition that scikit-learn takes for large arrays.

    Returns
    -------
    mean, inverse_std : float64 arrays of shape (n_pooled,)
        As from `standardisation`.
    components : array of shape (n_pooled, n_components)

    References
    ----------
    Halko, Martinsson, Tropp (2011). Finding structure with randomness. SIAM Review 53(2), section 5.5.
    """
    from sklearn.decomposition import PCA

    mean, inverse_std = standardisation(pooled)
    found = PCA(n_components, random_state=seed).fit((pooled - mean) * inverse_std)
    return mean, inverse_std, found.components_.T
