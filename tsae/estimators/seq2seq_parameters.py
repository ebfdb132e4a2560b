"""The constructor parameters of `LSTMSeq2Seq`: their rules, and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tsae.estimators.decoding import DecoderOptions, check_options, decoder_config, given_options, settled_options
from tsae.estimators.parameters import RecurrentParameters
from tsae.estimators.validation import as_layers, check_choice, check_flag, check_number
from tsae.networks.config import LOSS_NAMES, DecoderConfig

# What "auto" stands for in the decoder options of a sequence-to-sequence model.
_DEFAULTS = {"bridge": "initial_state", "feedback": "teacher_forcing"}


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class Seq2SeqParameters(RecurrentParameters):
    """Parameters of sequence-to-sequence models; documented with `LSTMSeq2Seq`."""

    units: int | Sequence[int] = field(default=128, kw_only=False)
    bidirectional: bool = False
    scale: str | None = "channel"
    inputs: str = "auto"
    outputs: str = "auto"
    shared_vocabulary: bool = False
    embedding: int | None = None
    decoder_options: DecoderOptions | None = None
    loss: str = "mse"

    def _check_seq2seq_parameters(self) -> None:
        self._check_encoder_parameters()
        check_options(given_options(self.decoder_options), self._encoder_width(), self._decoder_units())
        for name in ("inputs", "outputs"):
            check_choice(name, getattr(self, name), ["auto", "tokens", "values"])
        check_flag("shared_vocabulary", self.shared_vocabulary)
        check_number("embedding", self.embedding, 1, integer=True, none=True)
        check_choice("loss", self.loss, LOSS_NAMES)
        check_choice("scale", self.scale, ["channel", None])

    def _settled_sides(self) -> dict[str, str]:
        kinds = {name: repr(getattr(self, name)) for name in ("inputs", "outputs", "shared_vocabulary")}
        return {**kinds, **settled_options(given_options(self.decoder_options))}

    def _decoder_units(self) -> list[int]:
        return [units * (2 if self.bidirectional else 1) for units in as_layers("units", self.units)]

    def _decoder_config(self, longest: int, epochs: int, batches: int) -> DecoderConfig:
        """Settings of the decoder; `longest` is the steps of the longest X, `batches` their number per epoch."""
        return decoder_config(
            given_options(self.decoder_options), self._decoder_units(), _DEFAULTS, longest=longest, epochs=epochs,
            updates_per_epoch=batches,
        )  # fmt: skip
