"""How estimators read X: as windows, of the shape that they were fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from tsae.data.containers import as_table, as_windows, is_tabular
from tsae.data.windows import Windows


def check_names(windows: Windows, known: list[str] | None, name: str, fitted: str) -> None:
    """Refuse windows whose channels have other names than those known, or the same in another order.

    Parameters
    ----------
    windows : Windows
    known : list of str or None
        Names of the channels of `fit`; None: it had none, and nothing is compared.
    name, fitted : str
        How errors call the windows and what was fitted.

    Raises
    ------
    ValueError
        With both lists.
    """
    found = list(windows.channel_names)
    if known is None or not windows.has_names or found == known:
        return
    order = ": the same in another order" if sorted(found) == sorted(known) else ""
    raise ValueError(
        f"{name} has the channels {found}, but {fitted} was fitted with {known}{order}. Cut windows from the columns "
        f"of fit in their order: make_windows(..., value_columns={known})"
    )


class WindowReader(BaseEstimator):
    """Reads X, and remembers the shape of that of `fit`: `n_features_in_`, `n_channels_`, `n_timesteps_`.

    Also the names of its channels, where the data named them: `channel_names_in_`. X of other names, or of the same
    in another order, is refused; X without names, such as an array, has its channels in the order of `fit`.
    """

    n_features_in_: int
    channel_names_in_: list[str]
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
            self.__dict__.pop("channel_names_in_", None)
            if windows.has_names:
                self.channel_names_in_ = list(windows.channel_names)
        else:
            self._check_shape(windows)
        return windows

    def _read_fitted(self, X: Any) -> Windows:
        check_is_fitted(self)
        return self._read(X, reset=False)

    def _check_shape(self, windows: Windows) -> None:
        check_channels(windows, self)
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


def check_channels(windows: Windows, estimator: Any, fitted: str = "") -> None:
    """Refuse windows of other channels than those that an estimator was fitted with.

    Parameters
    ----------
    windows : Windows
        Names are compared where both sides have them.
    estimator : WindowReader
    fitted : str, default=""
        How errors call what was fitted; by default the estimator's class.

    Raises
    ------
    ValueError
        With the channels of both sides.
    """
    fitted = fitted or type(estimator).__name__
    if windows.n_channels != estimator.n_channels_:
        raise ValueError(f"X has {windows.n_channels} channels, but {fitted} was fitted with {estimator.n_channels_}")
    check_names(windows, estimator.__dict__.get("channel_names_in_"), "X", fitted)
