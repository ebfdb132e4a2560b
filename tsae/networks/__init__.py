"""The Keras networks; the only room that imports keras or tensorflow."""

from tsae.networks.building import build_network, build_trainer

__all__ = ["build_network", "build_trainer"]
