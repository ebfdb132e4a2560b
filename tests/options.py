"""Parameters of estimators for tests, with those of nested objects named among the others."""

from __future__ import annotations

from dataclasses import fields

from tsae import Augmentation, DecoderOptions

_DECODER = {field.name: field.name for field in fields(DecoderOptions) if field.name != "units"}
_DECODER["decoder_units"] = "units"
_AUGMENTATION = {field.name: field.name for field in fields(Augmentation)}


def nested(options):
    """{"attention": "dot", "crop": 5, "units": 3} -> the same with a DecoderOptions and an Augmentation."""
    options = dict(options)
    for name, kind, names in (
        ("decoder_options", DecoderOptions, _DECODER), ("augmentation", Augmentation, _AUGMENTATION),
    ):  # fmt: skip
        inside = {names[key]: options.pop(key) for key in list(options) if key in names}
        if inside:
            options[name] = kind(**inside)
    return options
