"""From a detector, fitted or stored, to an ONNX model that holds all of it, and back to its attributes.

The metadata of the model hold, beside facts for other readers, what `OnnxDetector` needs beyond the graph: a model file
(`tsae.io.archive`) of plain values, in base64.
"""

from __future__ import annotations

import base64
import binascii
import copy
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tsae.anomaly.calibration import check_alpha_or_auto, choose_alpha
from tsae.anomaly.combination import Combination
from tsae.anomaly.subspace import SubspaceResidual
from tsae.anomaly.thresholds import Calibrator
from tsae.errors import ModelFileError
from tsae.io.archive import Archive, archive_bytes, read_archive
from tsae.io.state import Arrays, from_tree, to_tree
from tsae.onnx.calibrators import check_calibrator
from tsae.onnx.detector_graph import DetectorParts, detector_model
from tsae.onnx.network import Network
from tsae.onnx.scores import form_of

EXPORTED, KIND, STATE = "AnomalyDetector", "OnnxDetector", "tsae_state"
# What an `OnnxDetector` has of the detector.
ATTRIBUTES = (
    "alpha",
    "smoothing",
    "combination_",
    "decoders_",
    "window_threshold_",
    "timeline_threshold_",
    "calibration_scores_",
    "offset_",
    "channel_names_",
    "n_channels_",
    "n_timesteps_",
    "n_features_in_",
    "feature_names_in_",
    "channel_names_in_",
    "_max_gap",
    "_stride",
)


@dataclass(frozen=True)
class StoredDetector:
    """A detector without the parts that only training needs.

    Attributes
    ----------
    attributes : mapping of str to object
        `ATTRIBUTES`, where it has them.
    autoencoder : Network
    encoders : list of (Network or None)
        The encoder of each score; None: it has none of its own.
    """

    attributes: Mapping[str, Any]
    autoencoder: Network
    encoders: list[Network | None]


def parts_of(estimator: Any) -> StoredDetector:
    """Take a fitted detector apart.

    Raises
    ------
    TypeError
        For another estimator, and for a detector of another autoencoder.
    ValueError
        If it is not fitted.
    """
    if type(estimator).__name__ != EXPORTED:
        raise TypeError(
            f"estimator is a {type(estimator).__name__}; only {EXPORTED} can be turned into an OnnxDetector"
        )
    if not estimator.__sklearn_is_fitted__():
        raise ValueError("estimator is not fitted; call fit first")
    attributes = {name: getattr(estimator, name) for name in ATTRIBUTES if hasattr(estimator, name)}
    autoencoder = Network.of(getattr(estimator.autoencoder_, "estimator", estimator.autoencoder_))
    own = [getattr(score, "encoder_", None) for score in estimator.combination_.scores]
    return StoredDetector(
        attributes, autoencoder, [None if encoder is None else Network.of(encoder) for encoder in own]
    )


def stored_parts(archive: Archive) -> StoredDetector:
    """Take a detector in a model file apart; networks stay plain values, so that TensorFlow is not needed.

    Raises
    ------
    ModelFileError
        If the file holds something else, or parts that do not belong together.
    """
    if archive.state.get("$object") != EXPORTED:
        raise ModelFileError(
            f"an OnnxDetector is made from a file of {EXPORTED}; this one holds {archive.state.get('$object')!r}"
        )
    try:
        state = archive.state["state"]
        combination, trees = _without_encoders(state["combination_"])
        few = {name: state[name] for name in ATTRIBUTES if name in state and name != "combination_"}
        attributes = from_tree({**few, "combination_": combination}, archive.arrays)
        autoencoder = Network.from_tree(state["autoencoder_"].get("$frozen", state["autoencoder_"]), archive.arrays)
        encoders = [None if tree is None else Network.from_tree(tree, archive.arrays) for tree in trees]
        check_attributes(attributes)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"the stored {EXPORTED} cannot be rebuilt: {error}") from error
    return StoredDetector(attributes, autoencoder, encoders)


def _without_encoders(tree: Any) -> tuple[Any, list[Any]]:
    """A stored combination whose scores have no encoders, and the stored encoder of each score."""
    tree, encoders = copy.deepcopy(tree), []
    for score in tree["state"]["scores"]["$tuple"]:
        encoders.append(score["state"].get("encoder_"))
        if encoders[-1] is not None:
            score["state"]["encoder_"] = None
    return tree, encoders


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Refuse attributes from a file that do not belong together.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
    """
    combination, n_channels = attributes["combination_"], attributes["n_channels_"]
    if not isinstance(combination, Combination):
        raise ValueError("combination_ is no Combination")
    combination.check(attributes["decoders_"], n_channels)
    names = attributes["channel_names_"]
    if not isinstance(names, list) or len(names) != n_channels:
        raise ValueError(f"channel_names_={names!r} are not the names of {n_channels} channels")
    for name in ("window_threshold_", "timeline_threshold_"):
        if not isinstance(attributes[name], Calibrator) or attributes[name].scores_.ndim != 1:
            raise ValueError(f"{name} is no fitted calibrator")
    n_timesteps, stride = attributes["n_timesteps_"], attributes["_stride"]
    if not (n_timesteps is None or (type(n_timesteps) is int and n_timesteps >= 1)):
        raise ValueError(f"n_timesteps_={n_timesteps!r} is not a number of steps")
    if type(stride) is not int or stride < 1:
        raise ValueError(f"_stride={stride!r} is not a number of steps")
    check_alpha_or_auto(attributes["alpha"])


# -- models ----------------------------------------------------------------------------------------------------------


def model_of(
    detector: StoredDetector, *, fixed_steps: bool | None = None, dtype: str = "float64", missing: bool = True
) -> bytes:
    """A detector as a serialized ONNX model; options as of `tsae.export_onnx`.

    Raises
    ------
    ValueError
        If a part of the detector has no form in ONNX.
    """
    attributes = detector.attributes
    n_timesteps = attributes["n_timesteps_"]
    check_calibrator(attributes["window_threshold_"])
    for score in attributes["combination_"].scores:
        form_of(score)
    if attributes["combination_"].series_scales is not None:
        raise ValueError("calibration='series' cannot be turned into ONNX: a graph knows no series of a window")
    if fixed_steps and n_timesteps is None:
        raise ValueError("fixed_steps=True is not allowed after fitting on windows of different lengths")
    if detector.autoencoder.config.encoder.n_channels != attributes["n_channels_"]:
        raise ValueError(f"autoencoder_ is not an autoencoder of {attributes['n_channels_']} channels")
    combination = copy.copy(attributes["combination_"])
    combination.scores = tuple(map(_with_encoder, combination.scores, detector.encoders))
    parts = DetectorParts(detector.autoencoder, combination, attributes["smoothing"], attributes["window_threshold_"])
    return detector_model(
        parts, n_timesteps=None if fixed_steps is False else n_timesteps, dtype=dtype, missing=missing,
        metadata={**_facts(attributes), STATE: _state(attributes)},
    )  # fmt: skip


def _with_encoder(score: Any, encoder: Network | None) -> Any:
    if not isinstance(score, SubspaceResidual):
        return score
    score = copy.copy(score)
    score.encoder_ = encoder
    return score


def _facts(attributes: Mapping[str, Any]) -> dict[str, str]:
    """What other readers want to know, as JSON; null where alpha is too small for a threshold."""
    facts: dict[str, Any] = {
        "channel_names": attributes["channel_names_"],
        "scores": list(attributes["combination_"].names),
        "smoothing": attributes["smoothing"],
        "stride": attributes["_stride"],
    }
    for name in ("window", "timeline"):
        calibrator = attributes[f"{name}_threshold_"]
        alpha = choose_alpha(calibrator, attributes["alpha"])
        enough = alpha > 0 and calibrator.n_scores_ >= calibrator.required(alpha)
        facts[f"{name}_alpha"] = alpha if math.isfinite(alpha) else None
        facts[f"{name}_threshold"] = calibrator.threshold(alpha) if enough else None
    return {name: json.dumps(value) for name, value in facts.items()}


def _state(attributes: Mapping[str, Any]) -> str:
    """The attributes as a model file, in base64; scores without what the graph holds of them."""
    combination = Combination(tuple(_bare(score) for score in attributes["combination_"].scores))
    combination.levels_ = attributes["combination_"].levels_
    arrays = Arrays()
    tree = to_tree({**attributes, "combination_": combination}, KIND, arrays)
    return base64.b64encode(archive_bytes(KIND, tree, arrays.stored, {})).decode()


def _bare(score: Any) -> Any:
    bare = type(score)()
    bare.decoders_, bare.scale_ = score.decoders_, score.scale_
    return bare


def read_state(text: str) -> dict[str, Any]:
    """Undo `_state`.

    Raises
    ------
    ModelFileError
        If it is damaged, or holds parts that do not belong together.
    """
    try:
        archive = read_archive(io.BytesIO(base64.b64decode(text, validate=True)))
        if archive.manifest["kind"] != KIND:
            raise ModelFileError(f"its metadata hold a {archive.manifest['kind']}")
        state: dict[str, Any] = from_tree(archive.state, archive.arrays)
        check_attributes(state)
    except (ValueError, TypeError, LookupError, AttributeError, binascii.Error) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"the state of the detector cannot be rebuilt: {error}") from error
    return state
