"""LSTM sequence autoencoders for time series, as scikit-learn estimators.

Names are loaded when they are first used, so that ``import tsae`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsae import datasets, splitting, timeline
    from tsae.anomaly.detector import AnomalyDetector
    from tsae.data.channels_first import from_channels_first
    from tsae.data.cutting import make_windows
    from tsae.data.description import describe
    from tsae.data.windows import Windows
    from tsae.errors import ModelFileError, TrainingDivergedError
    from tsae.estimators.augmentation import Augmentation
    from tsae.estimators.autoencoder import LSTMAutoencoder
    from tsae.estimators.classifier import LSTMClassifier
    from tsae.estimators.decoding import DecoderOptions
    from tsae.estimators.seq2seq import LSTMSeq2Seq
    from tsae.jobs.sampling import sample_windows
    from tsae.loading import load
    from tsae.onnx.detector import OnnxDetector
    from tsae.onnx.encoder import OnnxEncoder
    from tsae.onnx.export import export_onnx
    from tsae.plotting import EmbeddingDisplay, HistoryDisplay, ReconstructionDisplay, TimelineDisplay
    from tsae.report.page import write_report

__version__ = "0.1.0"

_MODULES = {"datasets", "splitting", "timeline"}

_HOMES = {
    "AnomalyDetector": "anomaly.detector",
    "Augmentation": "estimators.augmentation",
    "DecoderOptions": "estimators.decoding",
    "EmbeddingDisplay": "plotting",
    "HistoryDisplay": "plotting",
    "LSTMAutoencoder": "estimators.autoencoder",
    "LSTMClassifier": "estimators.classifier",
    "LSTMSeq2Seq": "estimators.seq2seq",
    "ModelFileError": "errors",
    "OnnxDetector": "onnx.detector",
    "OnnxEncoder": "onnx.encoder",
    "ReconstructionDisplay": "plotting",
    "TimelineDisplay": "plotting",
    "TrainingDivergedError": "errors",
    "Windows": "data.windows",
    "describe": "data.description",
    "export_onnx": "onnx.export",
    "from_channels_first": "data.channels_first",
    "load": "loading",
    "make_windows": "data.cutting",
    "sample_windows": "jobs.sampling",
    "write_report": "report.page",
}

__all__ = [
    "AnomalyDetector",
    "Augmentation",
    "DecoderOptions",
    "EmbeddingDisplay",
    "HistoryDisplay",
    "LSTMAutoencoder",
    "LSTMClassifier",
    "LSTMSeq2Seq",
    "ModelFileError",
    "OnnxDetector",
    "OnnxEncoder",
    "ReconstructionDisplay",
    "TimelineDisplay",
    "TrainingDivergedError",
    "Windows",
    "datasets",
    "describe",
    "export_onnx",
    "from_channels_first",
    "load",
    "make_windows",
    "sample_windows",
    "splitting",
    "timeline",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"tsae.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"tsae.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    dunders = {name for name in globals() if name.startswith("__")}
    return sorted({*__all__, *dunders})
