"""How windows are changed in training, so that an autoencoder cannot simply copy them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from tsae.estimators.validation import check_number, check_or_auto
from tsae.networks.objectives import Objective
from tsae.storable import storable


@storable
@dataclass(repr=False)
class Augmentation(BaseEstimator):
    """Noise, masking and cropping of the windows that `LSTMAutoencoder` is trained on.

    Parameters
    ----------
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on the (scaled) input of the encoder.
    mask_rate : float or None, default=None
        Share of the steps hidden from the encoder, in spans of 1 to `mask_span` steps. None: 0.3 with "imputation",
        else 0.
    mask_span : int or None, default=None
        Longest hidden span, in steps. None: an eighth of the window (of the longest, where lengths differ), at most
        10, so that enough is left to reconstruct it from.
    crop : int, None or "auto", default="auto"
        Train on random stretches of this many steps, others each time, of windows that are longer; with window scaling
        a stretch keeps the scale of its window. "auto": 64 where "imputation" is the only decoder, otherwise None,
        whole windows.

    Examples
    --------
    >>> from tsae import Augmentation, LSTMAutoencoder
    >>> autoencoder = LSTMAutoencoder(decoder="reconstruction", augmentation=Augmentation(noise=0.1))
    >>> autoencoder.set_params(augmentation__mask_rate=0.2).augmentation
    Augmentation(mask_rate=0.2, noise=0.1)
    """

    noise: float = 0.0
    mask_rate: float | None = None
    mask_span: int | None = None
    crop: int | str | None = "auto"


def given_augmentation(augmentation: Any) -> Augmentation:
    """The estimator's `augmentation`, or the default one where it is None."""
    if augmentation is None:
        return Augmentation()
    if not isinstance(augmentation, Augmentation):
        raise ValueError(f"augmentation={augmentation!r} is not allowed; it must be a tsae.Augmentation, or None")
    return augmentation


def check_augmentation(augmentation: Augmentation, objectives: dict[str, Objective]) -> None:
    """Refuse values that are not allowed, by themselves or for these objectives."""
    check_number("augmentation.noise", augmentation.noise, 0)
    check_number("augmentation.mask_rate", augmentation.mask_rate, 0, 1, none=True, open_high=True)
    check_number("augmentation.mask_span", augmentation.mask_span, 1, integer=True, none=True)
    check_or_auto("augmentation.crop", augmentation.crop, 2, none=True)
    for name, objective in objectives.items():
        if objective.needs_mask and augmentation.mask_rate == 0:
            raise ValueError(f"augmentation.mask_rate=0 is not allowed with decoder={name!r}: nothing would be hidden")


def mask_rate(augmentation: Augmentation, objectives: Iterable[Objective]) -> float:
    """The share of the steps that is hidden."""
    return (
        max(objective.mask_rate for objective in objectives)
        if augmentation.mask_rate is None
        else augmentation.mask_rate
    )


def mask_span(augmentation: Augmentation, width: int) -> int:
    """The longest hidden span for windows of `width` steps."""
    return augmentation.mask_span or int(np.clip(width // 8, 1, 10))
