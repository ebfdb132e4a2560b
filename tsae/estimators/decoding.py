"""Options of decoders, the rules that they follow, and the settings that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator

from tsae.estimators.validation import as_layers, check_choice, check_number
from tsae.networks.config import DecayConfig, DecoderConfig
from tsae.storable import storable

ATTENTIONS = (None, "dot", "general", "concat", "location", "additive")
_PREFIX = "decoder_options."


@storable
@dataclass(repr=False)
class DecoderOptions(BaseEstimator):
    """Options of the decoders of `LSTMAutoencoder` and `LSTMSeq2Seq`, which are seldom changed.

    Parameters
    ----------
    units : int, sequence of int or None, default=None
        Units of each recurrent layer, bottom first. None: for an autoencoder those of the encoder, top first; for a
        sequence-to-sequence model those of the encoder, twice as many where it is bidirectional.
    bridge : {"auto", "repeat_vector", "initial_state", "both"}, default="auto"
        How the encoder's result reaches a recurrent decoder: "repeat_vector", it is read at every step [1]_;
        "initial_state", the decoder's layers start with the encoder's final states [2]_ (through a dense layer where
        widths differ), and the feature vector is no bottleneck. "auto": "repeat_vector" for autoencoders,
        "initial_state" for sequence-to-sequence models.
    feedback : {"auto", None, "teacher_forcing", "scheduled_sampling"}, default="auto"
        Whether a recurrent decoder reads its own previous output, and what replaces it in training:
        "teacher_forcing", the target; "scheduled_sampling", the target less and less often [3]_. In use it reads its
        own output. "auto": None for autoencoders, "teacher_forcing" for sequence-to-sequence models.
    decay : {"linear", "exponential", "inverse_sigmoid"}, default="linear"
        Scheduled sampling: how the probability of teacher forcing falls from 1 with the updates [3]_ (section 2.4).
    decay_epochs : float or None, default=None
        Epochs over which it falls: to `decay_minimum` ("linear"), or to 1 % of the way. None: half of the estimator's
        `epochs`. 0: the target is never read.
    decay_minimum : float, default=0.0
        Probability that it falls to.
    attention : {None, "dot", "general", "concat", "location", "additive"}, default=None
        Let recurrent decoders attend to the encoder's state of each step: global attention [4]_ (section 3.1), or
        additive attention [5]_. The feature vector is then no bottleneck.
    input_feeding : bool, default=False
        With attention of [4]_: the decoder also reads the attentional state of the step before (section 3.3).
    target_offsets : sequence of int or "auto", default="auto"
        For "imputation": steps before and after its own whose values the read-out of a state gives, too, so that the
        state must represent more than its step; () for its own alone. "auto": a 32nd and an eighth of the window (of
        the longest, of a stretch where windows are cropped).

    References
    ----------
    .. [1] Cho et al. (2014). Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
       Translation. EMNLP 2014, arXiv:1406.1078
    .. [2] Sutskever, Vinyals, Le (2014). Sequence to Sequence Learning with Neural Networks. NeurIPS 2014,
       arXiv:1409.3215
    .. [3] Bengio, Vinyals, Jaitly, Shazeer (2015). Scheduled Sampling for Sequence Prediction with Recurrent Neural
       Networks. NeurIPS 2015, arXiv:1506.03099
    .. [4] Luong, Pham, Manning (2015). Effective Approaches to Attention-based Neural Machine Translation. EMNLP 2015,
       arXiv:1508.04025
    .. [5] Bahdanau, Cho, Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR
       2015, arXiv:1409.0473

    Examples
    --------
    >>> from tsae import DecoderOptions, LSTMAutoencoder
    >>> options = DecoderOptions(feedback="teacher_forcing", attention="general")
    >>> LSTMAutoencoder(decoder="reconstruction", decoder_options=options).get_params()["decoder_options__attention"]
    'general'
    """

    units: int | Sequence[int] | None = None
    bridge: str = "auto"
    feedback: str | None = "auto"
    decay: str = "linear"
    decay_epochs: float | None = None
    decay_minimum: float = 0.0
    attention: str | None = None
    input_feeding: bool = False
    target_offsets: Sequence[int] | str = "auto"


def given_options(options: Any) -> DecoderOptions:
    """The estimator's `decoder_options`, or the default ones where it is None."""
    if options is None:
        return DecoderOptions()
    if not isinstance(options, DecoderOptions):
        raise ValueError(f"decoder_options={options!r} is not allowed; it must be a tsae.DecoderOptions, or None")
    return options


def check_memory(decoder: DecoderConfig, longest: int, name: str = "X") -> None:
    """Refuse windows longer than "location" attention has weights for."""
    if decoder.n_memory_steps is not None and longest > decoder.n_memory_steps:
        raise ValueError(
            f"{name} has windows of up to {longest} steps, but attention='location' scores places, and was fitted "
            f"with windows of at most {decoder.n_memory_steps} steps"
        )


def check_options(options: DecoderOptions, encoder_width: int, units: list[int]) -> None:
    """Refuse values and pairs that are not allowed.

    Parameters
    ----------
    options : DecoderOptions
    encoder_width : int
        Width of the hidden state of the encoder's top layer, both directions counted.
    units : list of int
        Units of the decoder's layers where the options name none, bottom first.

    Raises
    ------
    ValueError
    """
    check_choice(_PREFIX + "bridge", options.bridge, ("auto", "repeat_vector", "initial_state", "both"))
    check_choice(_PREFIX + "feedback", options.feedback, ("auto", None, "teacher_forcing", "scheduled_sampling"))
    check_choice(_PREFIX + "decay", options.decay, ("linear", "exponential", "inverse_sigmoid"))
    check_number(_PREFIX + "decay_epochs", options.decay_epochs, 0, none=True)
    check_number(_PREFIX + "decay_minimum", options.decay_minimum, 0, 1)
    check_choice(_PREFIX + "attention", options.attention, ATTENTIONS)
    check_choice(_PREFIX + "input_feeding", options.input_feeding, [True, False])
    target_offsets(options, 1)
    top = _layers(options, units)[-1]
    if options.attention == "dot" and top != encoder_width:
        raise ValueError(
            f"decoder_options.attention='dot' is not allowed with a decoder of {top} units on top of an encoder "
            f"whose states have width {encoder_width}: the product needs equal widths. Set "
            f"units={encoder_width}, or attention='general', which learns a matrix between them"
        )
    if options.input_feeding and options.attention in (None, "additive"):
        why = "its decoder reads what it attends to already" if options.attention else "there is nothing to feed"
        raise ValueError(
            f"decoder_options.input_feeding=True is not allowed with attention={options.attention!r}: {why}; choose "
            "attention='dot', 'general', 'concat' or 'location'"
        )


def settled_options(options: DecoderOptions) -> dict[str, str]:
    """Options whose values in the network also follow from the data; `repr` of each, by the name of the parameter."""
    decay = options.decay, options.decay_epochs, options.decay_minimum, options.feedback
    return {_PREFIX + "decay": repr(decay), _PREFIX + "target_offsets": repr(options.target_offsets)}


def unused_option(options: DecoderOptions) -> str | None:
    """A field that only recurrent decoders use and that is not at its default; None where there is none."""
    recurrent = {"bridge": "auto", "feedback": "auto", "attention": None}
    return next((name for name, default in recurrent.items() if getattr(options, name) != default), None)


def _layers(options: DecoderOptions, units: list[int]) -> list[int]:
    """Units of the recurrent layers; `units` where the options name none."""
    return units if options.units is None else as_layers(_PREFIX + "units", options.units)


def target_offsets(options: DecoderOptions, n_timesteps: int) -> tuple[int, ...]:
    """The target offsets for windows, or stretches of them, of `n_timesteps` steps."""
    if isinstance(options.target_offsets, str) and options.target_offsets == "auto":
        return tuple(sorted({n_timesteps // 32, n_timesteps // 8} - {0}))
    given: Any = options.target_offsets
    offsets = list(given) if isinstance(given, (list, tuple)) else [given]
    for offset in offsets:
        check_number(_PREFIX + "target_offsets", offset, 1, integer=True, or_else="a sequence of such, or 'auto'")
    return tuple(int(offset) for offset in offsets)


def decoder_config(
    options: DecoderOptions,
    units: list[int],
    defaults: dict[str, Any],
    *,
    longest: int,
    epochs: int,
    updates_per_epoch: int,
) -> DecoderConfig:
    """Settings of the network's recurrent decoders.

    Parameters
    ----------
    options : DecoderOptions
    units : list of int
        As in `check_options`.
    defaults : dict
        What "auto" stands for, by field.
    longest : int
        Steps of the longest window.
    epochs, updates_per_epoch : int
        Of the training that the decay of scheduled sampling spans.
    """
    feedback = defaults["feedback"] if options.feedback == "auto" else options.feedback
    decay = None
    if feedback == "scheduled_sampling":
        over = epochs / 2 if options.decay_epochs is None else options.decay_epochs
        decay = DecayConfig(options.decay, float(over * updates_per_epoch), float(options.decay_minimum))
    return DecoderConfig(
        units=tuple(_layers(options, units)),
        bridge=defaults["bridge"] if options.bridge == "auto" else options.bridge,
        feedback=feedback,
        decay=decay,
        attention=options.attention,
        input_feeding=options.input_feeding,
        n_memory_steps=longest if options.attention == "location" else None,
    )
