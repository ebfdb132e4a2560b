"""`export_onnx`: an encoder or a detector as an ONNX file."""

from __future__ import annotations

import os
from typing import Any

from tsae.errors import ModelFileError
from tsae.estimators.validation import check_choice
from tsae.io.archive import read_archive, replacing
from tsae.onnx.detector_file import EXPORTED as DETECTOR
from tsae.onnx.detector_file import StoredDetector, model_of, parts_of, stored_parts
from tsae.onnx.encoder import OnnxEncoder
from tsae.onnx.network import EXPORTED as AUTOENCODER


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    *,
    fixed_steps: bool | None = None,
    dtype: str | None = None,
    missing: bool = True,
) -> None:
    """Write the encoder of an `LSTMAutoencoder`, or an `AnomalyDetector`, as an ONNX file.

    The graph does all that `transform`, or `score_samples`, does: scaling, missing values, the recurrent layers,
    pooling; decoders, scores, p-values. Its input "windows" has the shape (batch, n_timesteps, n_channels); the batch
    may be of any size, 0 included.

    The output of an encoder is "features", (batch, n_features) float32, within 1e-5 of `transform`. The names of the
    features are in the model's metadata under "feature_names", as a JSON list.

    The outputs of a detector are float64, and agree with the detector within 1e-5 of their size, or of 1 if they are
    smaller: "score" (batch,), the higher the more anomalous, that is ``-score_samples``; "p_value" (batch,);
    "contributions" (batch, n_channels); and "values" (batch, n_timesteps, n_values, n_channels), which timelines are
    made of: the score of a timestamp is that of their mean over all windows that cover it. They are NaN where nothing
    is known. Thresholds, levels of alpha and names of channels are in the metadata, as JSON; `OnnxDetector.from_onnx`
    reads all of it.

    Parameters
    ----------
    model : LSTMAutoencoder, AnomalyDetector, OnnxEncoder or path-like
        A fitted estimator, or a model file, which is read without TensorFlow.
    path : path-like
        An existing file is replaced, all at once.
    fixed_steps : bool or None, default=None
        Whether the number of steps is fixed to that of training. None: where training had one.
    dtype : {"float32", "float64"} or None, default=None
        Of the input. None: "float32" for an encoder, "float64" for a detector. "float64" is for values whose spread is
        small against their size, such as 1e6 + noise: they are scaled before they are rounded to float32, as
        `transform` does; a detector compares values with what its decoders give, and so needs it more often.
    missing : bool, default=True
        Whether NaN is understood as missing, gaps and shorter windows alike. False gives a smaller, faster graph for
        complete windows; the outputs for a window with NaN are NaN. With or without, so are the features of a window
        with a value that is infinite, or too large for float32 once it is scaled; a detector counts it as the largest
        error.

    Raises
    ------
    ModelFileError
        If `model` is a path and no good model file.
    TypeError
        For a model of another class, such as `LSTMSeq2Seq`.
    ValueError
        For arguments that are not allowed, and for a detector of which a part has no form in ONNX; see
        `OnnxDetector.from_estimator`.
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
    check_choice("dtype", dtype, ["float32", "float64", None])
    check_choice("missing", missing, [True, False])
    check_choice("fixed_steps", fixed_steps, [True, False, None])
    data = _serialized(model, fixed_steps, dtype, missing)
    with replacing(path) as file:
        file.write(data)


def _serialized(model: Any, fixed_steps: bool | None, dtype: str | None, missing: bool) -> bytes:
    made = _exported(model)
    if isinstance(made, StoredDetector):
        return model_of(made, fixed_steps=fixed_steps, dtype=dtype or "float64", missing=missing)
    if fixed_steps and made.n_timesteps_ is None:
        raise ValueError("fixed_steps=True is not allowed after fitting on windows of different lengths")
    n_timesteps = None if fixed_steps is False else made.n_timesteps_
    return made.to_onnx(n_timesteps=n_timesteps, dtype=dtype or "float32", missing=missing)


def _exported(model: Any) -> OnnxEncoder | StoredDetector:
    """What is written of a model, or of the file of one."""
    if isinstance(model, OnnxEncoder):
        return model
    is_file = isinstance(model, (str, os.PathLike))
    archive = read_archive(model) if is_file else None
    kind = type(model).__name__ if archive is None else archive.state.get("$object")
    if kind == DETECTOR:
        return parts_of(model) if archive is None else stored_parts(archive)
    if kind == AUTOENCODER:
        return OnnxEncoder.from_estimator(model) if archive is None else OnnxEncoder.from_archive(archive)
    found = f"{os.fspath(model)} holds" if is_file else "model is"
    message = f"{found} a {kind}; only {AUTOENCODER} and {DETECTOR} can be turned into ONNX"
    raise ModelFileError(message) if is_file else TypeError(message)
