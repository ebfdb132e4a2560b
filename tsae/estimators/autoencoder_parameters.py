"""The constructor parameters of `LSTMAutoencoder`: their rules, and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tsae.data.windows import Windows
from tsae.estimators.augmentation import (
    Augmentation,
    check_augmentation,
    given_augmentation,
    mask_rate,
    mask_span,
)
from tsae.estimators.decoding import (
    DecoderOptions,
    check_options,
    decoder_config,
    given_options,
    target_offsets,
    unused_option,
)
from tsae.estimators.parameters import EncoderParameters
from tsae.estimators.validation import (
    as_choices,
    as_layers,
    check_choice,
    check_flag,
    check_number,
)
from tsae.networks.config import LOSS_NAMES, AutoencoderConfig
from tsae.networks.objectives import COMBINATIONS, OBJECTIVES, Objective, objectives_of
from tsae.networks.pooling import POOLINGS

# Of a unit's states on the training windows: the thresholds of "ppv".
QUARTILES = (0.25, 0.5, 0.75)
# What "auto" stands for in the decoder options of an autoencoder.
_DEFAULTS = {"bridge": "repeat_vector", "feedback": None}


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class AutoencoderParameters(EncoderParameters):
    """Parameters of the autoencoder; documented with `LSTMAutoencoder`."""

    pooling: str | Sequence[str] = ("mean", "std", "ppv")
    n_components: int | None = None
    decoder: str | Sequence[str] = "imputation"
    horizon: int | None = None
    reverse_target: bool = True
    decoder_options: DecoderOptions | None = None
    augmentation: Augmentation | None = None
    differences: bool | str = "auto"
    loss: str = "mse"
    tbptt_steps: int | None = None

    def _check_autoencoder_parameters(self) -> None:
        self._check_encoder_parameters()
        check_choice("loss", self.loss, LOSS_NAMES)
        check_number("n_components", self.n_components, 1, integer=True, none=True)
        check_number("horizon", self.horizon, 1, integer=True, none=True)
        check_flag("reverse_target", self.reverse_target)
        check_choice("differences", self.differences, [True, False, "auto"])
        check_augmentation(self._augmentation(), self._objectives())
        self._check_decoder_options()
        self._check_crop()
        self._check_tbptt()

    def _check_decoder_options(self) -> None:
        options, unused = self._options(), unused_option(self._options())
        recurrent = any(objective.is_recurrent for objective in self._objectives().values())
        if recurrent and options.bridge != "initial_state" and not self._context_poolings():
            raise ValueError(
                f"pooling={self.pooling!r} is not allowed with decoder={self.decoder!r}: its thresholds are known only "
                "after training, and nothing is left for the decoder to read; add 'mean'"
            )
        check_options(options, self._encoder_width(), self._decoder_units())
        if unused is not None and not recurrent:
            raise ValueError(
                f"decoder_options.{unused}={getattr(options, unused)!r} is not allowed with decoder={self.decoder!r}: "
                "its read-out of each step is no recurrent decoder; choose decoder='reconstruction', 'prediction' or "
                "'composite'"
            )

    def _check_crop(self) -> None:
        by_window = self.scale in ("window", "both") or self._reads_differences()
        if self._ahead() and self._crop() and by_window:
            raise ValueError(
                f"augmentation.crop={self._augmentation().crop!r} is not allowed with horizon={self.horizon}, "
                f"scale={self.scale!r} and differences={self.differences!r}: a stretch keeps the scale of its whole "
                "window, which would reveal what is to be predicted; set crop=None, or scale='channel' and "
                "differences=False"
            )

    def _check_tbptt(self) -> None:
        check_number("tbptt_steps", self.tbptt_steps, 2, integer=True, none=True)
        if self.tbptt_steps is None:
            return
        one_step = self._dilations() == [1] * len(self._dilations())
        crop = self._augmentation().crop
        reasons = (
            (f"bidirectional={self.bidirectional!r}", self.bidirectional,
             "the backward direction would need the whole window; set bidirectional=False"),
            (f"dilations={self.dilations!r}", not one_step,
             "a state that skips back further than one step is not carried over; set dilations=1"),
            (f"scale={self.scale!r}", self.scale in ("window", "both"),
             "a window's scale needs the whole window; set scale='channel'"),
            (f"differences={self.differences!r}", self._reads_differences(),
             "their scale is the whole window's; set differences=False"),
            (f"horizon={self.horizon!r}", bool(self._ahead()), "the decoders keep within a chunk; set horizon=None"),
            (f"augmentation.crop={crop!r}", crop not in ("auto", None),
             "windows are either cropped or processed in chunks; set crop=None"),
        )  # fmt: skip
        for what, wrong, reason in reasons:
            if wrong:
                raise ValueError(f"tbptt_steps={self.tbptt_steps} is not allowed with {what}: {reason}")

    def _check_components(self, n_windows: int) -> None:
        if self.n_components is None:
            return
        n_pooled = len(self._encoder_config(0, 1).pooled_names())
        if self.n_components > min(n_windows, n_pooled):
            raise ValueError(
                f"n_components={self.n_components} is not allowed: principal components are learned from "
                f"{n_windows} windows of {n_pooled} pooled values; it must be at most {min(n_windows, n_pooled)}"
            )

    def _check_horizon(self, windows: Windows) -> None:
        needed = max(objective.least_steps(self.horizon) for objective in self._objectives().values())
        shortest = windows.lengths.min() if windows.is_ragged else windows.width
        shortest = min(shortest, self._crop() or shortest)
        if shortest < needed:
            raise ValueError(
                f"X has windows of {shortest} steps (1 feature(s) is too few, n_features = {shortest}), but "
                f"horizon={self.horizon} with decoder={self.decoder!r} needs at least {needed}"
            )

    # -- what parameters mean ----------------------------------------------------------------------------------

    def _objectives(self) -> dict[str, Objective]:
        names = objectives_of(as_choices("decoder", self.decoder, (*OBJECTIVES, *COMBINATIONS)))
        return {name: OBJECTIVES[name] for name in names}

    def _quantiles(self) -> tuple[float, ...]:
        return QUARTILES

    def _context_poolings(self) -> list[str]:
        """Those whose features decoders read."""
        return [kind for kind in self._pooling()[0] if not POOLINGS[kind].has_thresholds]

    def _options(self) -> DecoderOptions:
        return given_options(self.decoder_options)

    def _augmentation(self) -> Augmentation:
        return given_augmentation(self.augmentation)

    def _decoder_units(self) -> list[int]:
        return as_layers("units", self.units)[::-1]

    def _ahead(self) -> int:
        """Steps at the end of each training window that are kept from the encoder."""
        ahead = any(objective.predicts_ahead for objective in self._objectives().values())
        return (self.horizon or 0) if ahead else 0

    def _crop(self) -> int | None:
        crop = self._augmentation().crop
        if not isinstance(crop, str):
            return crop
        crops = [objective.crop for objective in self._objectives().values()]
        return None if None in crops or self.tbptt_steps is not None else min(crops)  # type: ignore[type-var]

    def _reads_differences(self) -> bool:
        if self.differences != "auto":
            return bool(self.differences)
        wanted = all(objective.differences for objective in self._objectives().values())
        return wanted and self.scale in ("window", "both")

    def _autoencoder_config(self, seed: int, windows: Windows, epochs: int, batches: int) -> AutoencoderConfig:
        """Settings of the network; `batches` is their number per epoch."""
        width, options, augmentation, objectives = (
            windows.width, self._options(), self._augmentation(), self._objectives(),
        )  # fmt: skip
        updates = batches * (-(-width // self.tbptt_steps) if self.tbptt_steps else 1)
        return AutoencoderConfig(
            encoder=replace(
                self._encoder_config(seed, windows.n_channels, differences=self._reads_differences()),
                n_components=self.n_components,
            ),
            objectives=tuple(objectives),
            decoder=decoder_config(
                options, self._decoder_units(), _DEFAULTS, longest=self.tbptt_steps or width, epochs=epochs,
                updates_per_epoch=updates,
            ),
            tbptt_steps=self.tbptt_steps,
            horizon=self.horizon,
            reverse_target=self.reverse_target,
            loss=self.loss,
            noise=augmentation.noise,
            mask_rate=mask_rate(augmentation, objectives.values()),
            mask_span=mask_span(augmentation, width),
            target_offsets=target_offsets(options, min(width, self._crop() or width, self.tbptt_steps or width)),
            crop=self._crop(),
            dropout=self.dropout,
            seed=seed + 1,
        )  # fmt: skip
