"""What decoders can be trained for: one entry each, with all that parameters and their defaults depend on.

A new objective is an entry here and a class in `tsae.networks.heads`. Nothing here loads TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """A task that a decoder is trained for.

    Attributes
    ----------
    head : str
        Name of its class in `tsae.networks.heads`.
    is_recurrent : bool
        Whether a recurrent decoder generates its output from the feature vector.
    predicts_ahead : bool
        Whether it predicts the last `horizon` steps of a window, which the encoder is then not given.
    mask_rate : float
        Default share of the steps hidden from the encoder in training.
    needs_mask : bool
        Whether there is nothing to learn where no step is hidden.
    crop : int or None
        Default length of the stretches that long windows are cropped to in training; None: whole windows.
    differences : bool
        Whether differences are read by default, where windows are scaled.
    """

    head: str
    is_recurrent: bool = False
    predicts_ahead: bool = False
    mask_rate: float = 0.0
    needs_mask: bool = False
    crop: int | None = None
    differences: bool = False

    def least_steps(self, horizon: int | None) -> int:
        """Steps that a window needs."""
        if not self.predicts_ahead:
            return 1
        return 2 if horizon is None else horizon + 2


OBJECTIVES: dict[str, Objective] = {
    "reconstruction": Objective("Reconstruction", is_recurrent=True),
    "prediction": Objective("Prediction", is_recurrent=True, predicts_ahead=True),
    "imputation": Objective("Imputation", mask_rate=0.3, needs_mask=True, crop=64, differences=True),
}
# Names for several objectives at once.
COMBINATIONS: dict[str, tuple[str, ...]] = {"composite": ("reconstruction", "prediction")}


def objectives_of(names: list[str]) -> tuple[str, ...]:
    """The objectives that are named, combinations spelled out, in the order of `OBJECTIVES`."""
    named = {part for name in names for part in COMBINATIONS.get(name, (name,))}
    return tuple(name for name in OBJECTIVES if name in named)
