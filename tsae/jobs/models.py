"""Model files of jobs: an estimator, and the `WindowSpec` of the tables that it was trained on.

The specification is stored with the estimator, as its attribute `table_`, in plain values.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

from tsae.errors import ModelFileError
from tsae.io.archive import Archive, read_archive
from tsae.jobs.errors import JobError
from tsae.jobs.logs import suppressed_stderr
from tsae.jobs.outputs import check_target
from tsae.jobs.spec import WindowSpec
from tsae.jobs.stores import is_address


class ModelFile:
    """A model file, read and checked once per process. TensorFlow is loaded when the estimator is first asked for.

    Workers receive the path alone, read the file once, and refuse it if it has changed since the job began.

    Attributes
    ----------
    path : Path
    kind : str
        Class name of the estimator.
    model_id : str
        Identifies the content: equal for equal models.
    spec : WindowSpec
    """

    def __init__(self, path: Path, kind: str, model_id: str, spec: WindowSpec, archive: Archive | None = None):
        self.path, self.kind, self.model_id, self.spec = path, kind, model_id, spec
        self._archive = archive
        self._estimator: Any = None
        self._loading = Lock()  # the first two parts of a job are worked on at the same time

    def __reduce__(self) -> tuple[Any, ...]:
        return _model_of_process, (self.path, self.kind, self.model_id, self.spec)

    @property
    def archive(self) -> Archive:
        """The content of the file; read now if this process has not read it yet."""
        if self._archive is None:
            self._archive = _read(self.path)
            if self._archive.manifest["model_id"] != self.model_id:
                raise JobError(f"{self.path} was replaced while the job was running; start the job again")
        return self._archive

    @property
    def estimator(self) -> Any:
        """The fitted estimator, made on first use."""
        from tsae.loading import from_archive

        with self._loading:
            if self._estimator is None:
                load_tensorflow()
                try:
                    self._estimator = from_archive(self.archive)
                except ModelFileError as error:
                    raise JobError(f"{self.path}: {error}") from error
        return self._estimator


@lru_cache(maxsize=1)
def _model_of_process(path: Path, kind: str, model_id: str, spec: WindowSpec) -> ModelFile:
    """One object for all tasks that a worker receives, so that the file is read once."""
    return ModelFile(path, kind, model_id, spec)


def save_model(estimator: Any, spec: WindowSpec, path: Path) -> None:
    """Write a model file for jobs."""
    estimator.table_ = spec.as_dict()
    path.parent.mkdir(parents=True, exist_ok=True)
    estimator.save(path)


def open_model(path: Path) -> ModelFile:
    """Read and check a model file; the estimator itself is made later."""
    archive = _read(path)
    return ModelFile(path, archive.manifest["kind"], archive.manifest["model_id"], _spec_of(archive, path), archive)


def describe_model(path: Path) -> dict[str, Any]:
    """Facts about a model file, and how it reads tables."""
    archive = _read(path)
    facts = {key: archive.manifest[key] for key in ("kind", "model_id", "created", "versions", "summary")}
    try:
        facts["window_spec"] = _spec_of(archive, path).as_dict()
    except JobError as error:
        facts["window_spec"] = str(error)
    return {"file": str(path), "bytes": path.stat().st_size, **facts}


def _read(path: Path) -> Archive:
    if is_address(path.as_posix()):
        raise JobError("the model is read from a local file, not from an address in a store; copy it to a file first")
    try:
        return read_archive(path)
    except FileNotFoundError as error:
        raise JobError(f"there is no model file {path}") from error
    except ModelFileError as error:
        hint = (
            "; commands read model files, from which tsae export-onnx makes such graphs"
            if path.suffix == ".onnx"
            else ""
        )
        raise JobError(f"{error}{hint}") from error
    except OSError as error:
        reason = "is a directory; name a model file" if path.is_dir() else f"cannot be read: {error.strerror or error}"
        raise JobError(f"{path} {reason}") from error


def _spec_of(archive: Archive, path: Path) -> WindowSpec:
    try:
        return WindowSpec.from_dict(archive.state["state"]["table_"])
    except (KeyError, TypeError) as error:
        raise JobError(
            f"{path} holds a model, but not how to read tables for it; make the file with 'tsae train', or save the "
            "estimator with tsae.jobs.models.save_model"
        ) from error


def load_tensorflow() -> None:
    """Load TensorFlow without its messages about build and devices, which none of its settings suppresses."""
    if "tensorflow" not in sys.modules:
        with suppressed_stderr():
            sharding = import_module("tsae.networks.sharding")
            sharding.shards_for(1 << 20)  # initialises the devices


def autoencoder_of(estimator: Any) -> Any:
    """Return the fitted autoencoder: the estimator itself, or that of a detector."""
    autoencoder = getattr(estimator, "autoencoder_", estimator)
    if not hasattr(autoencoder, "transform"):
        raise JobError(f"the model is a {type(estimator).__name__}, which computes no features")
    return autoencoder


def decoding_model_of(estimator: Any, path: Path) -> Any:
    """Return the fitted autoencoder, the estimator itself or that of a detector, whose decoders can be used.

    Raises
    ------
    JobError
    """
    autoencoder = getattr(estimator, "autoencoder_", estimator)
    if not hasattr(autoencoder, "reconstruct"):
        raise JobError(
            f"{path} holds a {type(estimator).__name__}, which has no decoder; train a model with tsae train"
        )
    return autoencoder


def export_model(path: Path, target: Path, **options: Any) -> None:
    """Write the encoder or detector in a model file as an ONNX graph; `options` as of `tsae.export_onnx`."""
    from tsae.onnx.export import export_onnx

    _read(path)  # explains what is wrong with the file
    check_target(target, "the ONNX file")
    if target.exists() and target.samefile(path):
        raise JobError(f"the ONNX file {target} would replace the model")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        export_onnx(path, target, **options)
    except (ImportError, ModelFileError, ValueError) as error:
        raise JobError(str(error)) from error
