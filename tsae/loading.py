"""`load`: a model file -> the estimator that was saved."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

from tsae.errors import ModelFileError
from tsae.estimators.validation import check_choice
from tsae.io.archive import Archive, read_archive
from tsae.io.state import from_tree


def load(path: str | os.PathLike[str] | BinaryIO, engine: str = "keras") -> Any:
    """Read a model file that `save` wrote.

    Nothing in the file is run, and nothing is written: it holds plain values, from which objects of tsae's own
    classes are rebuilt after every checksum, size and shape has been checked. Checksums find damage, not forgery:
    whoever can write a model file can change what the model outputs.

    Parameters
    ----------
    path : path-like or binary file that can seek
    engine : {"keras", "onnx"}, default="keras"
        "keras": the estimator as it was saved. "onnx": an `OnnxEncoder` of an `LSTMAutoencoder`, or an `OnnxDetector`
        of an `AnomalyDetector`, which need neither TensorFlow nor Keras, but onnx and onnxruntime (the extra
        ``tsae[onnx]``).

    Returns
    -------
    LSTMAutoencoder, AnomalyDetector, LSTMClassifier, LSTMSeq2Seq, OnnxEncoder or OnnxDetector

    Raises
    ------
    ModelFileError
        If the file is no model file, damaged, hostile or of a version that this tsae does not know.
    OSError
        If the file cannot be opened.
    ImportError
        If the engine's packages are not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder, load
    >>> X = np.sin(np.linspace(0, 20, 20 * 16)).reshape(20, 16)
    >>> model = LSTMAutoencoder(units=4, epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "model.tsae"))
    ...     again = load(os.path.join(folder, "model.tsae"))
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    check_choice("engine", engine, ["keras", "onnx"])
    archive = read_archive(path)
    try:
        return from_archive(archive, engine)
    except ModelFileError as error:
        source = f"{os.fspath(path)}: " if isinstance(path, (str, os.PathLike)) else ""
        raise ModelFileError(f"{source}{error}") from error


def from_archive(archive: Archive, engine: str = "keras") -> Any:
    """Rebuild an estimator from a model file that has been read already.

    Parameters
    ----------
    archive : Archive
        As `tsae.io.archive.read_archive` returns it.
    engine : {"keras", "onnx"}, default="keras"
        As of `load`.

    Returns
    -------
    LSTMAutoencoder, AnomalyDetector, LSTMClassifier, LSTMSeq2Seq, OnnxEncoder or OnnxDetector

    Raises
    ------
    ModelFileError
        If no estimator can be rebuilt from the content.
    ImportError
        If the engine's packages are not installed.
    """
    try:
        if archive.manifest["kind"] == "TimelineStream":
            raise ModelFileError("the file holds the state of a stream; AnomalyDetector.restore_stream reads it")
        if archive.state.get("$object") != archive.manifest["kind"]:
            raise ModelFileError("the manifest names another class than state.json")
        if engine == "onnx":
            return _for_onnx(archive)
        return from_tree(archive.state, archive.arrays)
    except ModelFileError as error:
        written_by = archive.manifest["versions"].get("tsae")
        raise ModelFileError(f"{error} (the file was written by tsae {written_by})") from error
    except ImportError as error:
        needed = "Keras and TensorFlow" if engine == "keras" else "the packages onnx and onnxruntime"
        hint = "; engine='onnx' needs neither, and transforms and scores" if engine == "keras" else ""
        raise ImportError(f"engine={engine!r} needs {needed}: {error}{hint}") from error


def _for_onnx(archive: Archive) -> Any:
    from tsae.onnx.detector import OnnxDetector
    from tsae.onnx.encoder import OnnxEncoder

    made_of = {"LSTMAutoencoder": OnnxEncoder, "AnomalyDetector": OnnxDetector}
    kind = archive.state["$object"]
    if kind not in made_of:
        raise ModelFileError(f"engine='onnx' reads files of {' and '.join(made_of)}; this one holds {kind!r}")
    return made_of[kind].from_archive(archive)
