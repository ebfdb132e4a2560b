"""Fits that continue with a network: which parameters may change in between, and which cannot."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

# Settings that training reads anew: neither the weights nor what they mean depend on them.
_FREE = (
    "crop", "dropout", "freeze", "kernel_regularizer", "loss", "mask_rate", "noise", "recurrent_regularizer", "unroll",
)  # fmt: skip
# Settings that also follow from the data: those of the first fit stay unless their parameters change.
_FROM_DATA = {"mask_span": "augmentation.mask_span", "target_offsets": "decoder_options.target_offsets",
              "decay": "decoder_options.decay"}  # fmt: skip
# Settings that the first fit learned from its data, or drew.
_LEARNED = (
    "has_end_token", "input_tokens", "n_channels", "n_classes", "n_inputs", "n_memory_steps", "n_outputs",
    "output_tokens", "seed",
)  # fmt: skip
_PARAMETERS = {"objectives": "decoder", "window_scale": "scale"}


def continued_config(fitted: Any, wanted: Any, changed: set[str], prefix: str = "") -> Any:
    """Settings with which a fitted network continues.

    Parameters
    ----------
    fitted, wanted : config of one class
        Of the fitted network, and as the estimator's present parameters and data give it.
    changed : set of str
        Parameters behind settings that also follow from the data, where they differ from those of the last fit.
    prefix : str, default=""
        How errors begin the name of a parameter.

    Raises
    ------
    ValueError
        Naming the first parameter that cannot change.
    """
    chosen = {}
    for name in (field.name for field in fields(fitted)):
        old, new = getattr(fitted, name), getattr(wanted, name)
        if name in _LEARNED or old == new or (name in _FROM_DATA and _FROM_DATA[name] not in changed):
            continue
        if is_dataclass(old) and name in ("encoder", "decoder"):
            inner = prefix + "decoder_options." if name == "decoder" else prefix
            chosen[name] = continued_config(old, new, changed, inner)
        elif name in _FREE or name in ("mask_span", "decay") or (name == "feedback" and old and new):
            chosen[name] = new
        else:
            refuse_change(prefix + _PARAMETERS.get(name, name), repr(old), repr(new))
    return replace(fitted, **chosen)


def refuse_change(parameter: str, fitted: str, now: str) -> None:
    """Raise for a parameter that cannot change from fit to fit; `fitted` and `now` are the `repr` of its values."""
    raise ValueError(
        f"{parameter}={now} is not allowed: training continues with a network that was fitted with "
        f"{parameter}={fitted}, which cannot change. Set it back, or train a new network: fit with warm_start=False"
    )
