"""LSTM sequence autoencoders for time series, as scikit-learn estimators.

Names are loaded when they are first used, so that ``import tsae`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsae.anomaly import AnomalyDetector
    from tsae.autoencoder import LSTMAutoencoder
    from tsae.classifier import LSTMClassifier
    from tsae.errors import ModelFileError, TrainingDivergedError
    from tsae.loading import load
    from tsae.onnx_encoder import OnnxEncoder, export_onnx
    from tsae.plotting import EmbeddingDisplay, HistoryDisplay, ReconstructionDisplay, TimelineDisplay
    from tsae.seq2seq import LSTMSeq2Seq
    from tsae.windows import Windows, from_channels_first, make_windows

__version__ = "0.1.0"

_HOMES = {
    "AnomalyDetector": "anomaly",
    "EmbeddingDisplay": "plotting",
    "HistoryDisplay": "plotting",
    "LSTMAutoencoder": "autoencoder",
    "LSTMClassifier": "classifier",
    "LSTMSeq2Seq": "seq2seq",
    "ModelFileError": "errors",
    "OnnxEncoder": "onnx_encoder",
    "ReconstructionDisplay": "plotting",
    "TimelineDisplay": "plotting",
    "TrainingDivergedError": "errors",
    "Windows": "windows",
    "export_onnx": "onnx_encoder",
    "from_channels_first": "windows",
    "load": "loading",
    "make_windows": "windows",
}

__all__ = [
    "AnomalyDetector",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "LSTMAutoencoder",
    "LSTMClassifier",
    "LSTMSeq2Seq",
    "ModelFileError",
    "OnnxEncoder",
    "ReconstructionDisplay",
    "TimelineDisplay",
    "TrainingDivergedError",
    "Windows",
    "export_onnx",
    "from_channels_first",
    "load",
    "make_windows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tsae.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
