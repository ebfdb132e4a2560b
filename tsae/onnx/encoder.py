"""Encoders without TensorFlow: `OnnxEncoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin

from tsae.data.series import has_missing
from tsae.errors import ModelFileError
from tsae.estimators.applying import SequenceModel
from tsae.io.archive import Archive
from tsae.networks.config import EncoderConfig
from tsae.onnx.fitted import FittedAlready
from tsae.onnx.graph import encoder_model
from tsae.onnx.network import EXPORTED, Network, state_of, stored_state
from tsae.onnx.sessions import make_session, over_cores

# What is read of a stored estimator: its encoder and the shape of X.
_PUBLIC = (
    "scaler_",
    "n_channels_",
    "n_timesteps_",
    "n_features_in_",
    "feature_names_in_",
    "channel_names_in_",
    "_sklearn_output_config",
)


class OnnxEncoder(FittedAlready, TransformerMixin, SequenceModel):
    """The encoder of an `LSTMAutoencoder`, run by ONNX Runtime; ``tsae.load(path, engine="onnx")`` makes one.

    It needs the packages onnx and onnxruntime, and neither TensorFlow nor Keras. It reads every kind of X that the
    autoencoder reads, missing values and windows of different lengths included, and gives the same features up to
    rounding (1e-5).

    Attributes
    ----------
    scaler_, n_features_in_, n_timesteps_, n_channels_ : object
        As of `LSTMAutoencoder`.

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder, OnnxEncoder
    >>> X = np.sin(np.arange(20 * 16).reshape(20, 16) / 5)
    >>> autoencoder = LSTMAutoencoder(units=4, epochs=1, random_state=0).fit(X)
    >>> encoder = OnnxEncoder.from_estimator(autoencoder)
    >>> bool(np.allclose(encoder.transform(X), autoencoder.transform(X), atol=1e-5))
    True
    """

    _made_of = EXPORTED
    _config: EncoderConfig
    _weights: Mapping[str, np.ndarray]

    @classmethod
    def from_archive(cls, archive: Archive) -> OnnxEncoder:
        """Take the encoder out of a model file that was read.

        Parameters
        ----------
        archive : tsae.io.archive.Archive
            The content of the file; it must hold an `LSTMAutoencoder`.

        Returns
        -------
        OnnxEncoder

        Raises
        ------
        ModelFileError
            If the file holds something else, or parts that do not belong together.
        """
        found = archive.state.get("$object")
        if found != EXPORTED:
            raise ModelFileError(f"an OnnxEncoder is made from a file of {EXPORTED}; this one holds {found!r}")
        try:
            return cls._from_state(stored_state(archive.state, archive.arrays, _PUBLIC))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"the stored {EXPORTED} cannot be rebuilt: {error}") from error

    @classmethod
    def from_estimator(cls, estimator: Any) -> OnnxEncoder:
        """Take the encoder out of a fitted estimator.

        Parameters
        ----------
        estimator : LSTMAutoencoder
            Fitted.

        Returns
        -------
        OnnxEncoder

        Raises
        ------
        TypeError
            For an estimator of another class.
        ValueError
            If it is not fitted.
        """
        return cls._from_state(state_of(estimator))

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> OnnxEncoder:
        made = cls()
        for name in _PUBLIC:
            if name in state:
                setattr(made, name, state[name])
        network = Network.from_state(state)
        made._config, made._weights = network.config.encoder, network.weights
        if made.n_channels_ != made._config.n_channels:
            raise ValueError(f"n_channels_ is {made.n_channels_!r}; the network reads {made._config.n_channels}")
        return made

    def transform(self, X: Any) -> np.ndarray:
        """Encode windows, as `LSTMAutoencoder.transform` does.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `LSTMAutoencoder.fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_features), float32
            One row per window.
        """
        return self._apply("features", self._read(X, reset=False))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features, as `LSTMAutoencoder.get_feature_names_out` gives them.

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str
            One name per column of `transform`.
        """
        return np.asarray(self._config.feature_names(), dtype=object)

    def to_onnx(self, *, n_timesteps: int | None = None, dtype: str = "float32", missing: bool = True) -> bytes:
        """The encoder as a serialized ONNX model.

        Parameters
        ----------
        n_timesteps : int or None, default=None
            Steps of each window; None: any number.
        dtype : {"float32", "float64"}, default="float32"
            As in `export_onnx`.
        missing : bool, default=True
            As in `export_onnx`.

        Returns
        -------
        bytes
            An ``onnx.ModelProto``.
        """
        return encoder_model(
            self._config, self._weights, self.scaler_.mean_, self.scaler_.scale_,
            n_timesteps=n_timesteps, dtype=dtype, missing=missing,
        )  # fmt: skip

    def _function(self, name: str, **options: Any) -> Any:  # noqa: ARG002, there is one function
        """A session for complete windows, and one that understands NaN, each made at its first use."""
        sessions = self.__dict__.setdefault("_batch_functions", {})

        def run(values: np.ndarray) -> np.ndarray:
            missing = has_missing(values)
            if missing not in sessions:
                unscaled = np.zeros(self.n_channels_), np.ones(self.n_channels_)  # values come scaled
                sessions[missing] = make_session(encoder_model(self._config, self._weights, *unscaled, missing=missing))
            return over_cores(lambda part: sessions[missing].run(["features"], {"windows": part}), values)[0]

        return run

    def __sklearn_is_fitted__(self) -> bool:
        return "_config" in self.__dict__
