"""What the estimators with recurrent decoders share: the rules of their parameters, and what these mean.

Every pair of parameters that cannot work together is refused here, before a network is built.
"""

from __future__ import annotations

from typing import Any

from tsae.estimators.validation import check_choice, check_number

CONDITIONINGS = (None, "teacher", "scheduled")
ATTENTIONS = (None, "dot", "general", "concat", "location", "additive")
HANDOVERS = ("context", "state", "both")
SAMPLINGS = ("linear", "exponential", "inverse_sigmoid")


def check_decoding(estimator: Any, encoder_width: int, decoder_units: list[int]) -> None:
    """Check conditioning, sampling, attention, input feeding and handover.

    Parameters
    ----------
    encoder_width : int
        Width of the hidden state of the encoder's top layer, both directions counted.
    decoder_units : list of int
        Units of the decoder's layers, bottom first.
    """
    check_choice("conditioning", estimator.conditioning, CONDITIONINGS)
    check_choice("attention", estimator.attention, ATTENTIONS)
    check_choice("handover", estimator.handover, HANDOVERS)
    check_choice("input_feeding", estimator.input_feeding, [True, False])
    check_choice("sampling", estimator.sampling, SAMPLINGS)
    check_number("sampling_epochs", estimator.sampling_epochs, 0, none=True)
    check_number("sampling_floor", estimator.sampling_floor, 0, 1)
    attention = estimator.attention
    if attention == "dot" and decoder_units[-1] != encoder_width:
        raise ValueError(
            f"attention='dot' is not allowed with a decoder of {decoder_units[-1]} units on top of an encoder whose "
            f"states have width {encoder_width}: the product needs equal widths. Set decoder_units={encoder_width}, "
            "or attention='general', which learns a matrix between them"
        )
    if estimator.input_feeding and attention in (None, "additive"):
        raise ValueError(
            f"input_feeding=True is not allowed with attention={attention!r}: "
            + ("there is nothing to feed" if attention is None else "its decoder reads what it attends to already")
            + "; choose attention='dot', 'general', 'concat' or 'location'"
        )


def decoder_config(estimator: Any, longest: int) -> dict:
    """Arguments of the network's recurrent decoders; `longest`: steps of the longest window."""
    return {
        "handover": estimator.handover,
        "attention": estimator.attention,
        "input_feeding": estimator.input_feeding,
        "n_memory_steps": longest if estimator.attention == "location" else None,
    }


def sampling_config(estimator: Any, epochs: int, updates_per_epoch: int) -> dict | None:
    """The schedule of scheduled sampling in updates; None where it is not used."""
    if estimator.conditioning != "scheduled":
        return None
    over = epochs / 2 if estimator.sampling_epochs is None else estimator.sampling_epochs
    return {
        "schedule": estimator.sampling,
        "updates": float(over * updates_per_epoch),
        "floor": float(estimator.sampling_floor),
    }


def check_memory(estimator: Any, longest: int, name: str = "X") -> None:
    """Refuse windows longer than "location" attention has places for."""
    known = estimator._network.get_config()["decoder"]["n_memory_steps"]
    if known is not None and longest > known:
        raise ValueError(
            f"{name} has windows of up to {longest} steps, but attention='location' scores places, and was fitted "
            f"with windows of at most {known} steps"
        )
