"""Detectors without TensorFlow: `OnnxDetector`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin

from tsae.anomaly.residuals import position_chunks
from tsae.anomaly.scoring import TimestampScorer
from tsae.anomaly.timeline_scores import TimelineScores
from tsae.anomaly.window_scores import WindowScores
from tsae.data.windows import Windows
from tsae.errors import ModelFileError
from tsae.io.archive import Archive
from tsae.onnx.detector_file import ATTRIBUTES, STATE, model_of, parts_of, read_state, stored_parts
from tsae.onnx.detector_graph import CONTRIBUTIONS, VALUES
from tsae.onnx.fitted import FittedAlready
from tsae.onnx.sessions import make_session, over_cores


class OnnxDetector(FittedAlready, OutlierMixin, WindowScores, TimelineScores):
    """A fitted `AnomalyDetector`, run by ONNX Runtime; ``tsae.load(path, engine="onnx")`` makes one.

    It needs neither TensorFlow nor Keras: to read a file that `export_onnx` wrote, the package onnxruntime; to read a
    model file, onnx as well. It scores every kind of X that the detector scores, and gives the same scores up to
    rounding (1e-5 of their size, or of 1, the size of normal scores, if they are smaller), with the same p-values,
    thresholds and events. A stream that either of them saved is continued by the other.

    Parameters
    ----------
    alpha : float or "auto", default="auto"
        As of `AnomalyDetector`; ``set_params(alpha=...)`` changes that of the detector that it was made from.

    Attributes
    ----------
    combination_ : Combination
        How scores are combined; what they are computed from is in the graph.
    smoothing : int or None
    decoders_, channel_names_, n_features_in_, n_channels_, n_timesteps_, calibration_scores_, offset_ : object
        As of `AnomalyDetector`.
    window_threshold_, timeline_threshold_ : Calibrator
        As of `AnomalyDetector`.

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import AnomalyDetector, LSTMAutoencoder, OnnxDetector, make_windows
    >>> series = np.sin(np.arange(600) / 5)
    >>> small = LSTMAutoencoder(units=4, bidirectional=False, epochs=2)
    >>> windows = make_windows(series, width=20)
    >>> detector = AnomalyDetector(small, alpha=0.2, random_state=0).fit(windows)
    >>> quick = OnnxDetector.from_estimator(detector)
    >>> bool(np.allclose(quick.score_samples(windows), detector.score_samples(windows), rtol=1e-5))
    True
    """

    _made_of = "AnomalyDetector"
    _model: bytes

    def __init__(self, alpha: float | str = "auto") -> None:
        self.alpha = alpha

    @classmethod
    def from_estimator(cls, estimator: Any) -> OnnxDetector:
        """Turn a fitted detector into one that runs in ONNX Runtime.

        Parameters
        ----------
        estimator : AnomalyDetector
            Fitted, of an `LSTMAutoencoder`.

        Returns
        -------
        OnnxDetector

        Raises
        ------
        TypeError
            For another estimator, and for a detector of another autoencoder.
        ValueError
            If it is not fitted, or a part of it has no form in ONNX: decoders with attention or feedback, and scores
            and thresholds that tsae does not come with.
        """
        return cls._from_model(model_of(parts_of(estimator)))

    @classmethod
    def from_archive(cls, archive: Archive) -> OnnxDetector:
        """Make a detector of a model file that was read.

        Parameters
        ----------
        archive : tsae.io.archive.Archive
            The content of the file; it must hold an `AnomalyDetector`.

        Returns
        -------
        OnnxDetector

        Raises
        ------
        ModelFileError
            If the file holds something else, or parts that do not belong together or have no form in ONNX.
        """
        parts = stored_parts(archive)
        try:
            return cls._from_model(model_of(parts))
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise ModelFileError(f"no OnnxDetector can be made of the file: {error}") from error

    @classmethod
    def from_onnx(cls, path: str | os.PathLike[str]) -> OnnxDetector:
        """Read a file that `export_onnx` wrote for a detector; which needs the package onnxruntime and not onnx.

        The graph is run by ONNX Runtime as it is: read files of people you trust.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        OnnxDetector

        Raises
        ------
        ModelFileError
            If it is no such file.
        OSError
            If the file cannot be opened.
        ImportError
            Without the onnxruntime package.
        """
        with open(path, "rb") as file:
            data = file.read()
        try:
            return cls._from_model(data)
        except ModelFileError as error:
            raise ModelFileError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def _from_model(cls, model: bytes) -> OnnxDetector:
        try:
            session = make_session(model)
        except ImportError:
            raise
        except Exception as error:  # the runtime has classes of its own for what it cannot read
            raise ModelFileError(f"this is no ONNX model that can be run: {error}") from error
        metadata = session.get_modelmeta().custom_metadata_map
        if STATE not in metadata:
            raise ModelFileError("this ONNX model is not a detector that tsae.export_onnx wrote")
        state = read_state(metadata[STATE])
        made = cls()
        for name in ATTRIBUTES:
            if name in state:
                setattr(made, name, state[name])
        made._model, made._session = model, session
        return made

    def contributions(self, X: Any) -> np.ndarray:
        """Return what each channel adds to the anomaly score of each window.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of arrays
            As in `AnomalyDetector.fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_channels), float64
            Not negative; rows sum to ``-score_samples``. NaN for a channel without any value in the window.
        """
        windows = self._read_fitted(X)
        return np.concatenate([found for _, found in self._graph().run(windows, CONTRIBUTIONS)])

    def _scorer(self) -> TimestampScorer:
        return _GraphScorer(
            self._graph(), self.combination_, self.channel_names_, self.smoothing, self.timeline_threshold_
        )

    def _graph(self) -> _Graph:
        if "_session" not in self.__dict__:
            self._session = make_session(self._model)
        return _Graph(self._session)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session, which is made again when it is needed."""
        state = dict(super().__getstate__())
        state.pop("_session", None)
        return state

    def __sklearn_is_fitted__(self) -> bool:
        return "_model" in self.__dict__


@dataclass(frozen=True)
class _Graph:
    """Runs the graph of a detector on any number of windows."""

    session: Any

    def run(self, windows: Windows, output: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield positions of windows and one of the outputs, a bounded number at a time."""
        wide = self.session.get_inputs()[0].type == "tensor(double)"
        for positions in position_chunks(windows):
            values = windows.gather(positions).astype(np.float64 if wide else np.float32, copy=False)
            yield positions, over_cores(lambda part: self.session.run([output], {"windows": part}), values)[0]


class _GraphScorer(TimestampScorer):
    """Scores timestamps by the values that the graph gives for each step of a window."""

    autoencoder: _Graph

    def values(self, windows: Windows, series: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # noqa: ARG002
        return self.autoencoder.run(windows, VALUES)
