"""How estimators read X: as windows, of the shape that they were fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from tsae.data.containers import as_table, as_windows, is_tabular
from tsae.data.windows import Windows


class WindowReader(BaseEstimator):
    """Reads X, and remembers the shape of that of `fit`: `n_features_in_`, `n_channels_`, `n_timesteps_`."""

    n_features_in_: int
    n_channels_: int
    n_timesteps_: int | None

    def _read(self, X: Any, *, reset: bool) -> Windows:
        """Check X and view it as windows; `reset` records its shape, otherwise it must have the fitted one."""
        if is_tabular(X):
            X = as_table(X)
            table = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
            windows = as_windows(table)
        else:
            windows = as_windows(X)
            if reset:
                self.n_features_in_ = windows.n_channels
                self.__dict__.pop("feature_names_in_", None)
        if reset:
            windows = windows.compact()  # a few windows of a long series take only their rows along
            self.n_channels_ = windows.n_channels
            self.n_timesteps_ = None if windows.is_ragged else windows.width
        else:
            self._check_shape(windows)
        return windows

    def _check_shape(self, windows: Windows) -> None:
        if windows.n_channels != self.n_channels_:
            raise ValueError(
                f"X has {windows.n_channels} channels, but {type(self).__name__} was fitted with {self.n_channels_}"
            )
        if self.n_timesteps_ is not None and (windows.is_ragged or windows.width != self.n_timesteps_):
            raise ValueError(
                f"X has windows of {'up to ' if windows.is_ragged else ''}{windows.width} steps, but "
                f"{type(self).__name__} was fitted with {self.n_timesteps_}"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        return tags
