"""Short ways to networks, their settings and values to feed them."""

from __future__ import annotations

import numpy as np

from tsae.networks.config import AutoencoderConfig, DecoderConfig, EncoderConfig
from tsae.networks.encoder import Encoder


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def encoder_config(n_channels, units, dilations=(), pooling=("last",), **options):
    return EncoderConfig(n_channels, tuple(units), tuple(dilations), pooling=tuple(pooling), **options)


def make_encoder(*args, **options):
    return Encoder(encoder_config(*args, **options))


def autoencoder_config(encoder, objectives=("reconstruction",), units=(4,), decoder=None, **options):
    """`encoder`: arguments of `encoder_config`; `decoder`: those of `DecoderConfig` besides units."""
    decoder = DecoderConfig(tuple(units), **(decoder or {}))
    return AutoencoderConfig(encoder_config(**encoder), tuple(objectives), decoder, **options)
