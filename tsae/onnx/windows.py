"""The windows that a detector's graph reads, and what its networks make of them, each computed once."""

from __future__ import annotations

import numpy as np

from tsae.anomaly.residuals import LARGEST_SCALED, LARGEST_SHOWN
from tsae.data.scaling import MOST_SCALED, MOST_UNSCALED, ChannelScaler
from tsae.onnx.builder import GraphBuilder
from tsae.onnx.graph import Encoded, encode, features_of
from tsae.onnx.heads import Window, check_decoders, decoder_output
from tsae.onnx.inputs import not_empty, window_lengths, without_gaps
from tsae.onnx.masked import Masked, number
from tsae.onnx.network import Network


class WindowGraph:
    """Nodes that read windows, and add encoders and decoders when they are asked for.

    Parameters
    ----------
    graph : GraphBuilder
    autoencoder : Network
        Of the detector.
    n_timesteps : int or None
        Steps of a window; None: any number.
    dtype : "float32" or "float64"
        Of the input "windows".
    missing : bool
        Whether NaN is understood. Without, nothing is known of a window with NaN.

    Attributes
    ----------
    given, shown : str
        Windows, (batch, n_timesteps, n_channels) float64, 0 where missing; and without values that are too far out
        for networks (`tsae.anomaly.residuals.clipped`).
    observed : str
        Where they have values, bool.
    """

    def __init__(
        self, graph: GraphBuilder, autoencoder: Network, n_timesteps: int | None, dtype: str, missing: bool
    ) -> None:
        check_decoders(autoencoder, n_timesteps)
        self.graph, self.autoencoder, self.n_timesteps = graph, autoencoder, n_timesteps
        self.n_channels = autoencoder.config.encoder.n_channels
        given = not_empty(graph, "windows", n_timesteps, dtype, autoencoder.least_steps)
        given = given if dtype == "float64" else graph.as_double(given)
        is_missing = graph("IsNaN", given)
        self.given = graph("Where", is_missing, number(graph, 0), given)
        self.observed = graph("Not", is_missing)
        self._lengths = window_lengths(graph, self.observed) if missing else None
        self._gaps = self.observed if missing else None
        if not missing:
            self.observed = graph("And", self.observed, graph("Not", graph.any_of(is_missing, 1, 2)))
        scaler = autoencoder.scaler
        low = np.maximum(-LARGEST_SHOWN, scaler.mean_ - LARGEST_SCALED * scaler.scale_)
        high = np.minimum(LARGEST_SHOWN, scaler.mean_ + LARGEST_SCALED * scaler.scale_)
        self.shown = graph("Min", graph("Max", self.given, number(graph, low)), number(graph, high))
        self._encoded: dict[tuple[int, int], Encoded] = {}

    def decoder_output(self, name: str) -> Masked:
        """What a decoder of the autoencoder gives, in the units of X, float64, and where."""
        if name not in self.autoencoder.config.objectives:
            raise ValueError(f"the autoencoder has no decoder {name!r}")
        graph, scaler = self.graph, self.autoencoder.scaler
        encoded = self._run(self.autoencoder, self.autoencoder.ahead)
        output = decoder_output(graph, self.autoencoder, name, encoded, Window(self.given, self._lengths))
        scaled = graph("Mul", graph.as_double(output.values), number(graph, scaler.scale_))
        # Rounded as `reconstruct` rounds it.
        values = graph.as_float(graph("Add", scaled, number(graph, scaler.mean_)))
        return Masked(graph.as_double(values), output.known)

    def features(self, encoder: Network | None, n_features: int) -> str:
        """What an encoder makes of the windows, (batch, n_features) float64; None: that of the autoencoder."""
        network = encoder or self.autoencoder
        config = network.config.encoder
        if (config.n_channels, len(config.feature_names())) != (self.n_channels, n_features):
            raise ValueError(
                f"the encoder of the score 'subspace' makes {len(config.feature_names())} features of "
                f"{config.n_channels} channels; expected are {n_features} of {self.n_channels}"
            )
        return self.graph.as_double(features_of(self.graph, config, network.weights, self._run(network, 0).layers))

    def _run(self, network: Network, ahead: int) -> Encoded:
        key = (id(network), ahead)
        if key not in self._encoded:
            values = self._scaled(network.scaler)
            if self._gaps is not None:
                values = without_gaps(self.graph, values, self._gaps)
            self._encoded[key] = encode(
                self.graph, network.config.encoder, network.weights, values, self._gaps, self._lengths, ahead
            )
        return self._encoded[key]

    def _scaled(self, scaler: ChannelScaler) -> str:
        """`ChannelScaler.transform`."""
        graph, mean, scale = self.graph, scaler.mean_, scaler.scale_
        is_identity = not mean.any() and bool((scale == 1.0).all())
        most = MOST_UNSCALED if is_identity else MOST_SCALED
        values = graph("Div", graph("Sub", self.shown, number(graph, mean)), number(graph, scale))
        return graph.as_float(graph("Max", graph("Min", values, number(graph, most)), number(graph, -most)))
