"""What networks are made from: frozen settings, known and checked without TensorFlow, and stored as plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from tsae.networks.cells import CELLS, Cell
from tsae.networks.pooling import POOLINGS

# A channel of a window is constant when its variance is at most CONSTANT_VARIANCE times its squared mean (8 times the
# rounding of a float32) plus LEAST_VARIANCE. A small ripple is a shape of its own, and no rounding.
CONSTANT_VARIANCE, LEAST_VARIANCE = 1e-12, 1e-20
# Its differences are rounding when their mean square, in units of its variance, is at most this times 1 plus its
# squared mean in the same units: the values, about as large as their mean, are rounded to 2^-24 of that.
ROUNDING_VARIANCE = 1e-14

LOSS_NAMES = ("mse", "mae", "huber")


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of an encoder.

    Attributes
    ----------
    n_channels : int
    units : tuple of int
        Units of each layer, bottom first.
    dilations : tuple of int
        Of each layer: its state skips back so many steps. Empty: 1 for all layers.
    cell : str
        A key of `tsae.networks.cells.CELLS`.
    bidirectional : bool
        Each layer reads the window in both directions; their states are concatenated.
    pooling : tuple of str
        Keys of `tsae.networks.pooling.POOLINGS`.
    pooled_layers : {"all", "last"}
    quantiles : tuple of float
        Of a unit's states on the training windows: the thresholds of "ppv".
    n_components : int or None
        Principal components of the pooled values, in their place. None: the values themselves.
    window_scale : {"none", "only", "concat"}
        Bring each window to mean 0 and standard deviation 1, channel by channel, before it is read: in place of the
        values, or as further channels.
    differences : bool
        As further channels, read the change of each from the step before, at root mean square 1 in the window.
    dropout : float
        Between layers, in training.
    unroll : bool
    kernel_regularizer, recurrent_regularizer : mapping or None
        As `tsae.networks.regularizers.plain_regularizer` gives them.
    seed : int
        Of the initial weights.
    """

    n_channels: int
    units: tuple[int, ...]
    dilations: tuple[int, ...] = ()
    cell: str = "lstm"
    bidirectional: bool = False
    pooling: tuple[str, ...] = ("last",)
    pooled_layers: str = "last"
    quantiles: tuple[float, ...] = ()
    n_components: int | None = None
    window_scale: str = "none"
    differences: bool = False
    dropout: float = 0.0
    unroll: bool = False
    kernel_regularizer: Mapping[str, Any] | None = None
    recurrent_regularizer: Mapping[str, Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.dilations:
            object.__setattr__(self, "dilations", (1,) * len(self.units))

    @property
    def cell_entry(self) -> Cell:
        return CELLS[self.cell]

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each layer's hidden state, bottom first."""
        return tuple(units * (2 if self.bidirectional else 1) for units in self.units)

    @property
    def n_inputs(self) -> int:
        """Width of what the bottom layer reads at each step."""
        return self.n_channels * (1 + (self.window_scale == "concat") + self.differences)

    def layer_names(self) -> list[tuple[str, ...]]:
        """Names of each depth's layers: the forward one and, where there is one, the backward one."""
        directions = ("", "_backward") if self.bidirectional else ("",)
        return [tuple(f"{self.cell}_{depth}{end}" for end in directions) for depth in range(len(self.units))]

    def feature_names(self) -> list[str]:
        """Names of the features in order: "component_0", ..., or those of `pooled_names`."""
        if self.n_components is not None:
            return [f"component_{i}" for i in range(self.n_components)]
        return self.pooled_names()

    def pooled_names(self) -> list[str]:
        """Names of the pooled values in order: "mean_3", or "layer0_mean_3" where several layers are pooled."""
        pooled = self.pooled_depths
        return [
            (f"layer{depth}_" if len(pooled) > 1 else "") + f"{name}_{i}"
            for depth in pooled
            for kind in self.pooling
            for name in POOLINGS[kind].feature_names(kind, self.quantiles)
            for i in range(self.widths[depth])
        ]

    @property
    def pooled_depths(self) -> list[int]:
        """Depths of the layers whose states are pooled."""
        return list(range(len(self.units))) if self.pooled_layers == "all" else [len(self.units) - 1]

    @property
    def context_pooling(self) -> tuple[str, ...]:
        """The poolings that decoders read: those that need no thresholds, which are learned after training."""
        return tuple(kind for kind in self.pooling if not POOLINGS[kind].has_thresholds)

    @property
    def has_thresholds(self) -> bool:
        """Whether states are compared with thresholds that are learned after training."""
        return len(self.context_pooling) < len(self.pooling)

    def context_columns(self) -> np.ndarray:
        """Positions of the features that decoders read."""
        is_read = [
            np.full(len(POOLINGS[kind].feature_names(kind, self.quantiles)) * self.widths[depth],
                    kind in self.context_pooling)
            for depth in self.pooled_depths
            for kind in self.pooling
        ]  # fmt: skip
        return np.flatnonzero(np.concatenate(is_read))

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each weight array, by name: "lstm_0/kernel", "lstm_0_backward/bias", "pooling_0/thresholds", ..."""
        shapes: dict[str, tuple[int, ...]] = {}
        inputs = [self.n_inputs, *self.widths[:-1]]
        for names, units, width in zip(self.layer_names(), self.units, inputs, strict=True):
            n_columns = self.cell_entry.n_gates * units
            for name in names:
                shapes[f"{name}/kernel"] = (width, n_columns)
                shapes[f"{name}/recurrent_kernel"] = (units, n_columns)
                shapes[f"{name}/bias"] = self.cell_entry.bias_shape(units)
        if self.has_thresholds:
            for depth in self.pooled_depths:
                shapes[f"pooling_{depth}/thresholds"] = (len(self.quantiles), self.widths[depth])
                shapes[f"pooling_{depth}/ramp"] = (self.widths[depth],)
        if self.n_components is not None:
            n_pooled = len(self.pooled_names())
            shapes["projection/mean"] = shapes["projection/inverse_std"] = (n_pooled,)
            shapes["projection/components"] = (n_pooled, self.n_components)
        return shapes

    def check(self) -> None:
        """Refuse settings from a file that no encoder has.

        Raises
        ------
        ValueError
            Naming the setting.
        """

        def counts(values: Any) -> bool:
            return isinstance(values, tuple) and all(type(value) is int and value >= 1 for value in values)

        known_poolings = all(kind in POOLINGS for kind in self.pooling if isinstance(kind, str))
        rules = {
            "n_channels": counts((self.n_channels,)),
            "units": bool(self.units) and counts(self.units),
            "cell": isinstance(self.cell, str) and self.cell in CELLS,
            "bidirectional": type(self.bidirectional) is bool,
            "pooling": isinstance(self.pooling, tuple) and all(isinstance(kind, str) for kind in self.pooling)
            and known_poolings and 0 < len(self.pooling) == len(set(self.pooling)),
            "pooled_layers": self.pooled_layers in ("all", "last"),
            "quantiles": isinstance(self.quantiles, tuple)
            and all(type(quantile) is float and 0 < quantile < 1 for quantile in self.quantiles)
            and (bool(self.quantiles) or not (known_poolings and self.has_thresholds)),
            "n_components": self.n_components is None or counts((self.n_components,)),
            "window_scale": self.window_scale in ("none", "only", "concat"),
            "differences": type(self.differences) is bool,
            "dilations": counts(self.dilations) and len(self.dilations) == len(self.units or ()),
        }  # fmt: skip
        for name, holds in rules.items():
            if not holds:
                raise ValueError(f"the encoder's setting {name}={getattr(self, name)!r} is not allowed")
        if not self.cell_entry.has_cell_state and any(POOLINGS[kind].needs_cell_state for kind in self.pooling):
            raise ValueError(f"the encoder's setting pooling={self.pooling!r} is not allowed with cell={self.cell!r}")

    def check_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Check that an encoder of these settings has these weights, before anything of its size is made.

        Raises
        ------
        ValueError
            Naming the setting or the array at fault.
        """
        self.check()
        for name, shape in self.weight_shapes().items():
            if name not in weights:
                raise ValueError(f"the weights {name} of the encoder are missing")
            found = weights[name]
            if found.shape != shape or found.dtype != np.float32:
                raise ValueError(f"the weights {name} are {found.dtype} {found.shape}; expected are float32 {shape}")


@dataclass(frozen=True)
class DecayConfig:
    """How the probability of teacher forcing falls in scheduled sampling (Bengio et al. 2015, section 2.4).

    Attributes
    ----------
    kind : {"linear", "exponential", "inverse_sigmoid"}
    updates : float
        Updates over which it falls: to `minimum` ("linear"), or to 1 % of the way.
    minimum : float
    """

    kind: str
    updates: float
    minimum: float = 0.0


@dataclass(frozen=True)
class DecoderConfig:
    """Settings of a recurrent decoder.

    Attributes
    ----------
    units : tuple of int
        Units of each recurrent layer, bottom first.
    bridge : {"repeat_vector", "initial_state", "both"}
        How the encoder's result reaches the decoder: read at every step (Cho et al. 2014), as the initial states of
        its layers (Sutskever et al. 2014), or both.
    feedback : {None, "teacher_forcing", "scheduled_sampling"}
        Whether the decoder reads its own previous output, and what replaces it in training: the target always, or
        with the probability that `decay` gives.
    decay : DecayConfig or None
    attention : str or None
        A kind of `tsae.networks.attention.Attention`.
    input_feeding : bool
        Also read the attentional state of the step before (Luong et al. 2015, section 3.3).
    n_memory_steps : int or None
        For "location" attention: steps of the longest window.
    """

    units: tuple[int, ...]
    bridge: str = "repeat_vector"
    feedback: str | None = None
    decay: DecayConfig | None = None
    attention: str | None = None
    input_feeding: bool = False
    n_memory_steps: int | None = None


@dataclass(frozen=True)
class AutoencoderConfig:
    """Settings of an autoencoder: an encoder, and the decoders that train it.

    Attributes
    ----------
    encoder : EncoderConfig
    objectives : tuple of str
        Keys of `tsae.networks.objectives.OBJECTIVES`.
    decoder : DecoderConfig
        Of the recurrent decoders.
    tbptt_steps : int or None
        Windows are processed in chunks of so many steps, with the encoder's state carried over: gradients, and the
        decoders' outputs, keep within a chunk.
    horizon : int or None
        Steps that "prediction" predicts past what the encoder reads; None: the window shifted by one step.
    reverse_target : bool
    loss : str
        A key of `tsae.networks.losses.LOSSES`.
    noise : float
        Standard deviation of the noise added to the encoder's input in training.
    mask_rate : float
        Share of the steps hidden from the encoder in training, in spans of 1 to `mask_span` steps.
    mask_span : int
    target_offsets : tuple of int
        "imputation" also outputs, from each state, the values so many steps before and after.
    crop : int or None
        In training, longer windows are cropped to a random stretch of this many steps, another one each time, which
        keeps the scale of its whole window.
    dropout : float
        Between layers and on the feature vector, in training.
    seed : int
        Of the decoders' initial weights.
    """

    encoder: EncoderConfig
    objectives: tuple[str, ...]
    decoder: DecoderConfig
    tbptt_steps: int | None = None
    horizon: int | None = None
    reverse_target: bool = True
    loss: str = "mse"
    noise: float = 0.0
    mask_rate: float = 0.0
    mask_span: int = 10
    target_offsets: tuple[int, ...] = ()
    crop: int | None = None
    dropout: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of a classifier: an encoder, and a softmax over classes.

    Attributes
    ----------
    encoder : EncoderConfig
    n_classes : int
    freeze : bool
        Leave the encoder's weights as they are in training.
    noise : float
        Standard deviation of the noise added to the encoder's input in training.
    dropout : float
        On the features, in training.
    seed : int
        Of the dense layer's initial weights.
    """

    encoder: EncoderConfig
    n_classes: int
    freeze: bool = False
    noise: float = 0.0
    dropout: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Settings of a sequence-to-sequence model: an encoder of one sequence, and a decoder of another.

    Attributes
    ----------
    encoder : EncoderConfig
        Its channels are those of the input, or the width of the token vectors.
    decoder : DecoderConfig
    n_inputs, n_outputs : int
        Size of the vocabulary, or number of channels, of inputs and outputs.
    input_tokens, output_tokens : bool
        Whether inputs and outputs are tokens.
    has_end_token : bool
        Whether a further output token, of code `n_outputs`, ends a sequence.
    embedding : int or None
        Width of learned token vectors; None: one-hot.
    loss : str
        For values; tokens have the cross-entropy.
    dropout : float
        On the context, in training.
    seed : int
        Of the initial weights.
    """

    encoder: EncoderConfig
    decoder: DecoderConfig
    n_inputs: int
    n_outputs: int
    input_tokens: bool
    output_tokens: bool
    has_end_token: bool
    embedding: int | None = None
    loss: str = "mse"
    dropout: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a trainer.

    Attributes
    ----------
    batch_size : int
    clipnorm, clipvalue : float or None
        Limits on the norm of each variable's gradient, and on its values.
    schedule : {"constant", "cosine"}
    """

    batch_size: int
    clipnorm: float | None = None
    clipvalue: float | None = None
    schedule: str = "constant"


# Fields that hold settings of their own.
_NESTED: dict[str, type] = {"encoder": EncoderConfig, "decoder": DecoderConfig, "decay": DecayConfig}


def to_json(config: Any) -> dict[str, Any]:
    """Turn settings into plain JSON values."""

    def plain(value: Any) -> Any:
        if is_dataclass(value):
            return to_json(value)
        return list(value) if isinstance(value, tuple) else value

    return {field.name: plain(getattr(config, field.name)) for field in fields(config)}


def from_json(kind: type, plain: Any) -> Any:
    """Undo `to_json`.

    Raises
    ------
    ValueError
        For settings that `kind` does not have, or without some that it needs.
    """
    if not isinstance(plain, Mapping):
        raise ValueError(f"the settings of {kind.__name__} are {plain!r}")
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(plain) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no setting {unknown[0]!r}")

    def read(name: str, value: Any) -> Any:
        if name in _NESTED and value is not None:
            return from_json(_NESTED[name], value)
        return tuple(value) if isinstance(value, list) else value

    try:
        return kind(**{name: read(name, value) for name, value in plain.items()})
    except TypeError as error:
        raise ValueError(f"the settings of {kind.__name__} are incomplete or of a wrong type: {error}") from error
