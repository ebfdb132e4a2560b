"""What the decoders of a fitted autoencoder compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from tsae.estimators.base import TrainableModel
from tsae.estimators.validation import check_choice, check_flag
from tsae.networks.objectives import OBJECTIVES
from tsae.networks.process import ensure_usable


class DecodingModel(TrainableModel):
    """Base of `LSTMAutoencoder`: its methods that use the decoders rather than the encoder alone."""

    decoder: str | Sequence[str]
    horizon: int | None

    @property
    def decoders_(self) -> tuple[str, ...]:
        """Names of the trained decoders, as `reconstruct` takes them."""
        check_is_fitted(self)
        return tuple(self._network.config.objectives)

    def reconstruct(self, X: Any, decoder: str | None = None, *, masked: bool = True) -> np.ndarray:
        """A decoder's output for each window, aligned with the window's own steps.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.
        decoder : {"reconstruction", "prediction", "imputation"} or None, default=None
            None: the first of these that was trained.
        masked : bool, default=True
            "imputation" reconstructs each step while it is hidden. False: from the whole window, the step included;
            what cannot be copied faithfully even so is unlike the training data. The other decoders hide nothing.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_channels), float32
            In the units of X. NaN where the decoder has no output: with ``horizon=k`` "prediction" gives the last k
            steps and "reconstruction" those before; without, "prediction" gives all but the first.
        """
        windows = self._read_fitted(X)
        check_choice("decoder", decoder, [*self.decoders_, None])
        check_flag("masked", masked)
        name = decoder or self.decoders_[0]
        hides = masked or not OBJECTIVES[name].needs_mask
        return self.scaler_.inverse_transform(self._apply(name if hides else f"{name}_unmasked", windows, by_step=True))

    def attention_weights(self, X: Any, decoder: str | None = None) -> np.ndarray:
        """Weights of a decoder's attention: for each step of its output, the weight of each step that was read.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.
        decoder : {"reconstruction", "prediction"} or None, default=None
            None: the first of these that was trained.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_timesteps), float32
            ``[i, t, s]``: for step t of window i (aligned as by `reconstruct`), the weight of step s; the weights of
            each t sum to 1, with `tbptt_steps` over the steps of its chunk. NaN where the decoder has no output or s
            was not read.

        Raises
        ------
        ValueError
            Unless fitted with attention (`decoder_options`).
        """
        windows = self._read_fitted(X)
        if self._network.config.decoder.attention is None:
            raise ValueError("attention_weights needs attention; this one was fitted with attention=None")
        trained = [name for name in self.decoders_ if OBJECTIVES[name].is_recurrent]
        check_choice("decoder", decoder, [*trained, None])
        return self._apply_attention(f"{decoder or trained[0]}_weights", windows, windows.width)

    def forecast(self, X: Any) -> np.ndarray:
        """Continue each window past its end.

        Windows of one length are read from step `horizon` on, so that the encoder reads as many steps as it did in
        training.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows, horizon, n_channels), float32
            In the units of X.

        Raises
        ------
        ValueError
            Unless a "prediction" or "composite" decoder was trained with a `horizon`.
        """
        windows = self._read_fitted(X)
        if not self._network.ahead:
            raise ValueError(
                f"forecast needs decoder='prediction' or 'composite' and a horizon; this one was fitted with "
                f"decoder={self.decoder!r}, horizon={self.horizon}"
            )
        # An encoder trained on windows of one length reads windows of that length.
        function = "forecast" if self.n_timesteps_ is None else "forecast_recent"
        return self.scaler_.inverse_transform(self._apply(function, windows))

    def decode(self, Z: Any, n_timesteps: int | None = None) -> np.ndarray:
        """Turn feature vectors back into windows.

        Parameters
        ----------
        Z : array-like of shape (n_vectors, n_features)
            As `transform` gives them.
        n_timesteps : int or None, default=None
            Steps of each window; None: as many as the decoder was trained to reconstruct.

        Returns
        -------
        ndarray of shape (n_vectors, n_timesteps, n_channels), float32
            In the units of X; with ``scale="window"`` each at mean 0 and standard deviation 1 of its channels'
            training scale, since the features do not hold a window's own.

        Raises
        ------
        ValueError
            Unless a "reconstruction" or "composite" decoder was trained that reads the feature vector alone: with
            ``attention=None``, ``bridge="repeat_vector"`` and ``n_components=None``.
        """
        check_is_fitted(self)
        ensure_usable()
        reads = self._network.config.decoder
        if reads.attention is not None or reads.bridge != "repeat_vector":
            raise ValueError(
                "decode needs attention=None and bridge='repeat_vector', with which all that the decoder reads is the "
                f"feature vector; this one was fitted with attention={reads.attention!r}, bridge={reads.bridge!r}"
            )
        if "reconstruction" not in self.decoders_:
            raise ValueError(
                f"decode needs decoder='reconstruction' or 'composite'; this one was fitted with {self.decoder!r}"
            )
        if self._network.config.encoder.n_components is not None:
            raise ValueError(
                "decode needs n_components=None: the decoder reads the pooled values, which principal components do "
                f"not hold; this one was fitted with n_components={self._network.config.encoder.n_components}"
            )
        Z = np.asarray(Z, np.float32)
        n_features = len(self.get_feature_names_out())
        if Z.ndim != 2 or Z.shape[1] != n_features:
            raise ValueError(f"Z has shape {Z.shape}; expected (n_vectors, {n_features}), as transform gives")
        if n_timesteps is None and self.n_timesteps_ is None:
            raise ValueError("n_timesteps=None is not allowed after fitting on windows of different lengths")
        n_timesteps = n_timesteps or self.n_timesteps_ - self._network.ahead
        return self.scaler_.inverse_transform(np.asarray(self._network.decode_features(Z, n_timesteps)))
