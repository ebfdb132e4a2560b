"""The constructor parameters that the estimators share: declared once, checked once, and turned into settings once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from tsae.estimators.validation import (
    as_choices,
    as_layers,
    check_choice,
    check_flag,
    check_number,
    check_or_auto,
    check_random_state,
)
from tsae.networks.cells import CELLS
from tsae.networks.config import EncoderConfig, TrainingConfig
from tsae.networks.pooling import POOLINGS
from tsae.networks.process import ensure_usable

# Steps that epochs="auto" trains for: enough on every set it was chosen on (docs/quality.md).
AUTO_STEPS = 600
# Batches of batch_size="auto": so many make up the windows, within the smallest and the largest size.
AUTO_BATCHES = 32, 8, 128


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class RecurrentParameters:
    """Parameters of recurrent encoders; documented with `LSTMAutoencoder`."""

    units: int | Sequence[int] = (64, 64, 64)
    cell: str = "lstm"
    bidirectional: bool = True
    scale: str | None = "both"
    kernel_regularizer: Any = None
    recurrent_regularizer: Any = None
    dropout: float = 0.0
    unroll: bool = False

    def _check_encoder_parameters(self) -> None:
        as_layers("units", self.units)
        check_choice("cell", self.cell, CELLS)
        check_choice("scale", self.scale, ["channel", "window", "both", None])
        check_flag("bidirectional", self.bidirectional)
        check_flag("unroll", self.unroll)
        for name in ("kernel_regularizer", "recurrent_regularizer"):
            _check_regularizer(name, getattr(self, name))
        check_number("dropout", self.dropout, 0, 1, open_high=True)

    def _dilations(self) -> list[int]:
        """One dilation per layer."""
        return [1] * len(as_layers("units", self.units))

    def _pooling(self) -> tuple[tuple[str, ...], str]:
        """How states are pooled, and those of which layers."""
        return ("last",), "last"

    def _quantiles(self) -> tuple[float, ...]:
        """Of a unit's states: the thresholds of poolings that have them."""
        return ()

    def _encoder_width(self) -> int:
        """Width of the hidden state of the top layer, both directions counted."""
        return as_layers("units", self.units)[-1] * (2 if self.bidirectional else 1)

    def _encoder_config(self, seed: int, n_channels: int, *, differences: bool = False) -> EncoderConfig:
        from tsae.networks.regularizers import plain_regularizer

        pooling, pooled_layers = self._pooling()
        return EncoderConfig(
            n_channels=n_channels,
            units=tuple(as_layers("units", self.units)),
            dilations=tuple(self._dilations()),
            cell=self.cell,
            bidirectional=self.bidirectional,
            pooling=pooling,
            pooled_layers=pooled_layers,
            quantiles=self._quantiles() if any(POOLINGS[kind].has_thresholds for kind in pooling) else (),
            window_scale={"window": "only", "both": "concat"}.get(self.scale or "", "none"),
            differences=differences,
            dropout=self.dropout,
            unroll=self.unroll,
            kernel_regularizer=plain_regularizer(self.kernel_regularizer),
            recurrent_regularizer=plain_regularizer(self.recurrent_regularizer),
            seed=seed,
        )


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class EncoderParameters(RecurrentParameters):
    """Parameters of encoders whose states are pooled into features; documented with `LSTMAutoencoder`."""

    dilations: int | Sequence[int] | None = None
    pooling: str | Sequence[str] = ("mean", "max", "min", "std", "change")
    pooled_layers: str = "all"

    def _check_encoder_parameters(self) -> None:
        super()._check_encoder_parameters()
        self._dilations()
        for kind in self._pooling()[0]:
            if POOLINGS[kind].needs_cell_state and not CELLS[self.cell].has_cell_state:
                raise ValueError(
                    f"pooling={kind!r} is not allowed with cell={self.cell!r}: a {self.cell.upper()} has no cell state"
                )
        check_choice("pooled_layers", self.pooled_layers, ["all", "last"])

    def _dilations(self) -> list[int]:
        n_layers = len(as_layers("units", self.units))
        if self.dilations is None:
            return [4**depth for depth in range(n_layers)]
        dilations = as_layers("dilations", self.dilations)
        if len(dilations) == 1:
            dilations = dilations * n_layers
        if len(dilations) != n_layers:
            raise ValueError(
                f"dilations={self.dilations!r} is not allowed; units={self.units!r} has {n_layers} layers: give one "
                "integer for all of them, or one for each"
            )
        return dilations

    def _pooling(self) -> tuple[tuple[str, ...], str]:
        return tuple(as_choices("pooling", self.pooling, POOLINGS)), self.pooled_layers


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class TrainingParameters:
    """Parameters of training; documented with `LSTMAutoencoder`."""

    optimizer: Any = "adam"
    learning_rate: float = 1e-2
    schedule: str = "cosine"
    clipnorm: float | None = 1.0
    clipvalue: float | None = None
    batch_size: int | str = "auto"
    epochs: int | str = "auto"
    validation_fraction: float = 0.0
    patience: int | None = None
    warm_start: bool = False
    callbacks: Sequence[Any] | None = None
    random_state: Any = None
    verbose: int = 0

    _fewest_epochs: ClassVar[int] = 1

    def _check_training_parameters(self) -> None:
        check_number("learning_rate", self.learning_rate, 0, open_low=True)
        check_choice("schedule", self.schedule, ["constant", "cosine"])
        check_number("clipnorm", self.clipnorm, 0, none=True, open_low=True)
        check_number("clipvalue", self.clipvalue, 0, none=True, open_low=True)
        check_or_auto("batch_size", self.batch_size, 1)
        check_or_auto("epochs", self.epochs, self._fewest_epochs)
        check_number("validation_fraction", self.validation_fraction, 0, 1, open_high=True)
        check_number("patience", self.patience, 1, integer=True, none=True)
        check_flag("warm_start", self.warm_start)
        if not isinstance(self.verbose, bool):
            check_number("verbose", self.verbose, 0, integer=True)
        check_random_state(self.random_state)
        ensure_usable()
        from tsae.networks.building import check_callbacks
        from tsae.networks.optimizers import check_optimizer

        check_callbacks(self.callbacks)
        check_optimizer(self.optimizer)

    def _training_config(self, n_windows: int) -> TrainingConfig:
        return TrainingConfig(
            batch_size=self._batch_size(n_windows),
            clipnorm=self.clipnorm,
            clipvalue=self.clipvalue,
            schedule=self.schedule,
        )

    def _batch_size(self, n_windows: int) -> int:
        """The batch size; with "auto" small sets get many small steps, large ones batches that keep all cores busy."""
        if not isinstance(self.batch_size, str):
            return self.batch_size
        n_batches, smallest, largest = AUTO_BATCHES
        return int(np.clip(n_windows // n_batches, smallest, largest))

    def _epochs(self, n_windows: int) -> int:
        """The epochs; with "auto" as many as make AUTO_STEPS steps, and at least one."""
        if not isinstance(self.epochs, str):
            return self.epochs
        return max(1, round(AUTO_STEPS * self._batch_size(n_windows) / n_windows))


def _check_regularizer(name: str, value: Any) -> None:
    if value is None:
        return
    ensure_usable()
    from tsae.networks.regularizers import plain_regularizer

    try:
        plain_regularizer(value, name)
    except TypeError as error:
        raise ValueError(str(error)) from error
