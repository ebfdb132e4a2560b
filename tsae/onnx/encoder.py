"""Encoders without TensorFlow: `export_onnx` writes one as an ONNX file, `OnnxEncoder` runs one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin

from tsae.data.scaling import ChannelScaler
from tsae.data.series import has_missing
from tsae.errors import ModelFileError
from tsae.estimators.applying import SequenceModel
from tsae.estimators.validation import check_choice
from tsae.io.archive import Archive, read_archive, replacing
from tsae.io.state import object_state
from tsae.networks.config import AutoencoderConfig, EncoderConfig, from_json
from tsae.onnx.graph import encoder_model

EXPORTED = "LSTMAutoencoder"
ONNX_SHARD_ROWS, MIN_SHARD_ROWS = 256, 16
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


class OnnxEncoder(TransformerMixin, SequenceModel):
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

    _config: EncoderConfig
    _weights: dict[str, np.ndarray]

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
        tree = archive.state
        if tree.get("$object") != EXPORTED:
            raise ModelFileError(f"engine='onnx' reads files of {EXPORTED}; this one holds {tree.get('$object')!r}")
        wanted = (*_PUBLIC, "_network_state")
        state = tree.get("state")
        if not isinstance(state, dict) or "_network_state" not in state:
            raise ModelFileError(f"the stored {EXPORTED} has no network")
        few = {key: state[key] for key in wanted if key in state}
        try:
            return cls._from_state(object_state({"$object": EXPORTED, "state": few}, archive.arrays)[1])
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
        if type(estimator).__name__ != EXPORTED:
            raise TypeError(f"estimator is a {type(estimator).__name__}; only {EXPORTED} can be turned into ONNX")
        state = estimator.__getstate__()
        if "_network_state" not in state:
            raise ValueError("estimator is not fitted; call fit first")
        return cls._from_state(state)

    @classmethod
    def _from_state(cls, state: Mapping[str, Any]) -> OnnxEncoder:
        made = cls()
        for name in _PUBLIC:
            if name in state:
                setattr(made, name, state[name])
        network = state["_network_state"]
        made._config = from_json(AutoencoderConfig, network["config"]).encoder
        made._weights = {name: array for name, array in network["weights"].items() if "/" in name}
        made._config.check_weights(made._weights)
        made._check_restored()
        return made

    def _check_restored(self) -> None:
        n_channels, scaler = self._config.n_channels, self.scaler_
        parts = [scaler.mean_, scaler.scale_] if isinstance(scaler, ChannelScaler) else []
        if not parts or any(part.shape != (n_channels,) or part.dtype != np.float64 for part in parts):
            raise ValueError(f"scaler_ is not that of {n_channels} channels")
        if self.n_channels_ != n_channels:
            raise ValueError(f"n_channels_ is {self.n_channels_!r}; the network reads {n_channels}")

    def fit(self, X: Any, y: Any = None) -> OnnxEncoder:
        """Refuse: an `OnnxEncoder` is fitted already and stays as it is.

        Parameters
        ----------
        X, y : object
            Ignored.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("OnnxEncoder cannot be fitted; fit an LSTMAutoencoder and save it")

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
        sessions = self.__dict__.setdefault("_traced", {})

        def run(values: np.ndarray) -> np.ndarray:
            missing = has_missing(values)
            if missing not in sessions:
                unscaled = np.zeros(self.n_channels_), np.ones(self.n_channels_)  # values come scaled
                sessions[missing] = _session(encoder_model(self._config, self._weights, *unscaled, missing=missing))
            return _over_cores(lambda part: sessions[missing].run(["features"], {"windows": part})[0], values)

        return run

    def __sklearn_is_fitted__(self) -> bool:
        return "_config" in self.__dict__


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    fixed_steps: bool | None = None,
    dtype: str = "float32",
    missing: bool = True,
) -> None:
    """Write the encoder of an `LSTMAutoencoder` as an ONNX file: windows in, the features of `transform` out.

    The graph does all that `transform` does: scaling, missing values, the recurrent layers, pooling. Its input
    "windows" has the shape (batch, n_timesteps, n_channels), its output "features" (batch, n_features) float32; the
    batch may be of any size, 0 included. Results agree with `transform` within 1e-5. The names of the features are in
    the model's metadata under "feature_names", as a JSON list.

    Parameters
    ----------
    model : LSTMAutoencoder, OnnxEncoder or path-like
        A fitted estimator, or a model file, which is read without TensorFlow.
    path : path-like
        An existing file is replaced, all at once.
    fixed_steps : bool or None, default=None
        Whether the number of steps is fixed to that of training. None: where training had one.
    dtype : {"float32", "float64"}, default="float32"
        Of the input. "float64" for values whose spread is small against their size, such as 1e6 + noise: they are
        scaled before they are rounded to float32, as `transform` does.
    missing : bool, default=True
        Whether NaN is understood as missing, gaps and shorter windows alike. False gives a smaller, faster graph for
        complete windows; a window with NaN has features of NaN. With or without, so has a window with a value that is
        infinite, or too large for float32 once it is scaled.

    Raises
    ------
    ModelFileError
        If `model` is a path and no good model file.
    ValueError
        For arguments that are not allowed.
    ImportError
        Without the onnx package.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder, export_onnx
    >>> X = np.sin(np.arange(20 * 16).reshape(20, 16) / 5)
    >>> autoencoder = LSTMAutoencoder(units=4, epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     export_onnx(autoencoder, os.path.join(folder, "encoder.onnx"))
    ...     os.listdir(folder)
    ['encoder.onnx']
    """
    check_choice("dtype", dtype, ["float32", "float64"])
    check_choice("missing", missing, [True, False])
    check_choice("fixed_steps", fixed_steps, [True, False, None])
    if isinstance(model, (str, os.PathLike)):
        model = OnnxEncoder.from_archive(read_archive(model))
    elif not isinstance(model, OnnxEncoder):
        model = OnnxEncoder.from_estimator(model)
    if fixed_steps and model.n_timesteps_ is None:
        raise ValueError("fixed_steps=True is not allowed after fitting on windows of different lengths")
    n_timesteps = None if fixed_steps is False else model.n_timesteps_
    data = model.to_onnx(n_timesteps=n_timesteps, dtype=dtype, missing=missing)
    with replacing(path) as file:
        file.write(data)


def _over_cores(function: Callable[[np.ndarray], np.ndarray], values: np.ndarray) -> np.ndarray:
    """Run shards of the rows, one thread per core; the runtime's own threads wait for each other at every step."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = min(ONNX_SHARD_ROWS, max(MIN_SHARD_ROWS, -(-len(values) // cores)))
    shards = [values[first : first + rows] for first in range(0, len(values), rows)]
    if len(shards) == 1:
        return function(values)
    with ThreadPoolExecutor(min(cores, len(shards))) as pool:
        return np.concatenate(list(pool.map(function, shards)))


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError("engine='onnx' needs the package onnxruntime: pip install 'tsae[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
