"""What every trained estimator shares: parameters -> network -> fit -> state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsae.data.scaling import ChannelScaler, covered_rows
from tsae.data.series import has_missing
from tsae.data.splitting import holdout
from tsae.data.windows import Windows
from tsae.estimators.applying import SequenceModel
from tsae.estimators.validation import draw_seed
from tsae.io.state import Saveable
from tsae.progress import training_progress

# From so many steps in one call on, a compiled network, which takes a second or more to compile, begins to pay.
COMPILED_CALL_STEPS = 1 << 19


class TrainableModel(Saveable, SequenceModel):
    """Base of the estimators: owns the scaler and the network, trains it, and is pickled and stored with it.

    A subclass has the parameters of `tsae.estimators.parameters`. It defines what they mean (`_check_parameters`),
    which network they describe (`_network_config`) and what it computes from batches of windows (`_functions`).
    """

    scale: str | None
    optimizer: Any
    learning_rate: float
    validation_fraction: float
    patience: int | None
    callbacks: Sequence[Any] | None
    random_state: Any
    verbose: int
    history_: pd.DataFrame
    _network: Any
    _history: list[dict[str, Any]]

    def _check_parameters(self) -> None:
        """Refuse parameters that are not allowed, before any long work."""
        raise NotImplementedError

    def _network_config(self, seed: int, windows: Windows) -> Any:
        """Settings of the network for these windows."""
        raise NotImplementedError

    def _training_config(self, n_windows: int) -> Any:
        """Settings of the trainer for so many windows."""
        raise NotImplementedError

    def _functions(self) -> dict[str, Callable[..., Any]]:
        """The network's functions of batches of windows, by name."""
        raise NotImplementedError

    def _compiled_functions(self) -> dict[str, Callable[..., Any]]:
        """Those of `_functions` that have a form for large calls: complete windows, not scaled -> result."""
        return {}

    def _function(self, name: str, **options: Any) -> Any:
        """A function of the network; traced at its first use with these options."""
        from tsae.networks.inference import BatchFunction

        traced = self.__dict__.setdefault("_traced", {})
        key = (name, *sorted(options.items()))
        if key not in traced:
            traced[key] = BatchFunction(partial(self._functions()[name], **options))
        return traced[key]

    def _large_call(self, name: str, windows: Windows) -> Callable[[np.ndarray], Any] | None:
        if windows.is_ragged or self.n_timesteps_ is None or len(windows) * windows.width < COMPILED_CALL_STEPS:
            return None
        found = self._compiled_functions().get(name)
        if found is None:
            return None
        from tsae.networks.xla_loops import has_compiler

        return found if has_compiler() else None

    @property
    def encoder_(self) -> Any:
        """The network up to the features (keras.Model): scaled windows -> features."""
        check_is_fitted(self)
        return self._network.encoder

    @property
    def model_(self) -> Any:
        """The whole network (keras.Model)."""
        check_is_fitted(self)
        return self._network

    # -- fit ---------------------------------------------------------------------------------------------------

    def _start(self, windows: Windows) -> None:
        """Make a new scaler, network and trainer for these windows."""
        from tsae.networks.building import build_network

        seed = draw_seed(self.random_state)
        self.scaler_ = self._fitted_scaler(windows)
        self._network = build_network(self._network_config(seed, windows))
        self._traced: dict[Any, Any] = {}
        self._make_trainer(len(windows), seed)
        self._holdout_rng = np.random.default_rng(seed)
        self._history = []

    def _resume(self, windows: Windows) -> None:
        """Go on with the network as it is; after unpickling the optimizer starts anew."""
        if "_trainer" not in self.__dict__:
            self._make_trainer(len(windows), draw_seed(self.random_state))

    def _make_trainer(self, n_windows: int, seed: int) -> None:
        from tsae.networks.building import build_trainer

        config = self._training_config(n_windows)
        self._trainer = build_trainer(self._network, self.optimizer, self.learning_rate, config, seed)

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        if self.scale is None:
            return ChannelScaler.identity(windows.n_channels)
        # with window scaling, too, values are first brought near 0 in float64; the network then scales each window
        used = covered_rows(windows.starts, windows.lengths, len(windows.values))
        return ChannelScaler().fit(windows.values, used, windows.channel_names)

    def _train(
        self, windows: Windows, epochs: int, validate: bool = True, weights: np.ndarray | None = None,
        targets: Windows | None = None,
    ) -> None:  # fmt: skip
        """Train the network on the windows; whatever happens, `history_` and the best weights remain.

        targets: the target of each window, as the network reads it; None: learn from windows alone.
        """
        weights = np.ones(len(windows), np.float32) if weights is None else weights
        train, validation = self._validation_split(windows, validate)
        scaled = self.scaler_.transform(windows.values)

        def data(part: np.ndarray) -> Any:
            target_part = None if targets is None else targets[part]
            return _training_data(windows[part], scaled, weights[part], target_part)

        callbacks = list(self.callbacks or ())
        try:
            with training_progress(self.verbose, epochs) as on_progress:
                self._trainer.fit(
                    data(train), None if validation is None else data(validation), epochs, patience=self.patience,
                    callbacks=callbacks, on_progress=on_progress, history=self._history,
                )  # fmt: skip
        finally:
            for callback in callbacks:  # a callback that holds the network could not be cloned with the estimator
                callback.set_model(None)
            self.history_ = self._as_history()

    def _validation_split(self, windows: Windows, validate: bool) -> tuple[np.ndarray, np.ndarray | None]:
        if not validate or not self.validation_fraction:
            return np.arange(len(windows)), None
        if len(windows) < 2:
            raise ValueError(
                f"n_samples = {len(windows)}: validation_fraction={self.validation_fraction} needs at least "
                "2 windows; set validation_fraction=0 to train without validation"
            )
        return holdout(windows, self.validation_fraction, self._holdout_rng)

    def _as_history(self) -> pd.DataFrame:
        validated = ["val_loss"] if any("val_loss" in row for row in self._history) else []
        return pd.DataFrame(self._history, columns=["epoch", "loss", *validated, "gradient_norm"])

    # -- state -------------------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in self.__dict__

    def __getstate__(self) -> dict[str, Any]:
        """Keep the network as config and weights; leave out what can be rebuilt or is for training alone."""
        state = dict(super().__getstate__())
        state.pop("_trainer", None)
        network = state.pop("_network", None)
        if network is not None:
            from tsae.networks.weights import network_state

            state["_network_state"] = network_state(network)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        network_state = state.pop("_network_state", None)
        super().__setstate__(state)
        if network_state is not None:
            from tsae.networks.weights import restore_network

            self._network = restore_network(**network_state)

    def _check_restored(self) -> None:
        """Refuse attributes from a file that do not belong together."""
        self._check_parameters()
        if not self.__sklearn_is_fitted__():
            return
        n_channels = self._channels_read()
        if self.n_channels_ != n_channels or type(self.n_features_in_) is not int:
            raise ValueError(f"n_channels_ is {self.n_channels_!r}; the network reads {n_channels}")
        statistics = (self.scaler_.mean_, self.scaler_.scale_) if isinstance(self.scaler_, ChannelScaler) else ()
        if not statistics or any(part.shape != (n_channels,) or part.dtype != np.float64 for part in statistics):
            raise ValueError(f"scaler_ is not that of {n_channels} channels")
        if self.n_timesteps_ is not None and (type(self.n_timesteps_) is not int or self.n_timesteps_ < 1):
            raise ValueError(f"n_timesteps_={self.n_timesteps_!r} is not a number of steps")

    def _channels_read(self) -> int:
        """Channels of X that the network reads."""
        return int(self._network.encoder.config.n_channels)


def _training_data(windows: Windows, scaled: np.ndarray, weights: np.ndarray, targets: Windows | None) -> Any:
    from tsae.networks.training_data import Targets, TrainingData

    rows = None if targets is None else Targets(targets.values, targets.starts, targets.lengths, targets.width)
    return TrainingData(
        values=scaled,
        starts=windows.starts,
        lengths=windows.lengths,
        weights=weights,
        width=windows.width,
        masked=windows.is_ragged or has_missing(scaled),
        targets=rows,
    )
