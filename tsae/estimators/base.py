"""What every trained estimator shares: parameters -> network -> fit -> state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from tsae.data.layout import covered_rows
from tsae.data.scaling import ChannelScaler
from tsae.data.series import has_missing
from tsae.data.splitting import holdout
from tsae.data.windows import Windows
from tsae.estimators.applying import SequenceModel, bucket
from tsae.estimators.continuing import continued_config, refuse_change
from tsae.estimators.validation import draw_seed
from tsae.io.state import Saveable
from tsae.networks.process import ensure_usable
from tsae.progress import training_progress

# From so many steps in one call on, a compiled network, which takes a second or more to compile, begins to pay.
COMPILED_CALL_STEPS = 1 << 19


class TrainableModel(Saveable, SequenceModel):
    """Base of the estimators: owns the scaler and the network, trains it, and is pickled and stored with it.

    A subclass has the parameters of `tsae.estimators.parameters`. It defines what they mean (`_check_parameters`) and
    which network they describe (`_network_config`).
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
    batch_size: int | str
    _network: Any
    _fitted_with: dict[str, str]
    # Of `_settled`, those that cannot change while the network stays.
    _unchangeable: ClassVar[tuple[str, ...]] = ("scale",)

    def _check_parameters(self) -> None:
        """Refuse parameters that are not allowed, before any long work."""
        raise NotImplementedError

    def _network_config(self, seed: int, windows: Windows) -> Any:
        """Settings of the network for these windows."""
        raise NotImplementedError

    def _training_config(self, n_windows: int) -> Any:
        """Settings of the trainer for so many windows."""
        raise NotImplementedError

    def _compiled_functions(self) -> dict[str, Callable[..., Any]]:
        """Those of the network's functions that have a form for large calls: complete windows, not scaled -> result."""
        return {}

    def _function(self, name: str, **options: Any) -> Any:
        """A function of the network, kept with its graphs from its first use with these options on."""
        from tsae.networks.inference import BatchFunction

        kept = self.__dict__.setdefault("_batch_functions", {})
        key = (name, *sorted(options.items()))
        if key not in kept:
            kept[key] = BatchFunction(self._network, name, **options)
        return kept[key]

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
        ensure_usable()
        return self._network.encoder

    @property
    def model_(self) -> Any:
        """The whole network (keras.Model)."""
        check_is_fitted(self)
        ensure_usable()
        return self._network

    def _read(self, X: Any, *, reset: bool) -> Windows:
        ensure_usable()
        return super()._read(X, reset=reset)

    # -- fit ---------------------------------------------------------------------------------------------------

    def _start(self, windows: Windows) -> None:
        """Make a new scaler, network and trainer for these windows."""
        from tsae.networks.building import build_network

        seed = draw_seed(self.random_state)
        self.scaler_ = self._fitted_scaler(windows)
        self._network = build_network(self._network_config(seed, windows))
        self._batch_functions: dict[Any, Any] = {}
        self._fitted_with = self._settled()
        self._make_trainer(len(windows), seed)
        self._holdout_rng = np.random.default_rng(seed)
        self.history_ = _as_history([])

    def _resume(self, windows: Windows, *, partial: bool = False) -> None:
        """Continue with the weights as they are, and all else as the parameters are now.

        After unpickling the optimizer starts anew. `partial`: batch_size="auto" stays what it was.
        """
        changed = {name for name, value in self._settled().items() if self._fitted_with.get(name, value) != value}
        for name in sorted(changed.intersection(self._unchangeable)):
            refuse_change(name, self._fitted_with[name], self._settled()[name])
        config = continued_config(self._network.config, self._network_config(0, windows), changed)
        self._fitted_with = self._settled()
        has_new_network = config != self._network.config
        if has_new_network:
            self._replace_network(config)
        if "_trainer" not in self.__dict__:
            self._make_trainer(len(windows), draw_seed(self.random_state))
        else:
            self._update_trainer(len(windows), has_new_network, partial)

    def _replace_network(self, config: Any) -> None:
        """Make a network of the same weights with other settings."""
        from tsae.networks.building import build_network

        network = build_network(config)
        network.set_weights(self._network.get_weights())
        self._network, self._batch_functions = network, {}

    def _make_trainer(self, n_windows: int, seed: int, config: Any = None) -> None:
        from tsae.networks.optimizers import optimizer_settings
        from tsae.networks.training import Trainer

        config = config or self._training_config(n_windows)
        self._trainer = Trainer(
            self._network, self.optimizer, config, learning_rate=float(self.learning_rate), seed=seed
        )  # fmt: skip
        self._trained_as = config, optimizer_settings(self.optimizer), self.batch_size, self.random_state

    def _update_trainer(self, n_windows: int, has_new_network: bool, partial: bool) -> None:
        from tsae.networks.optimizers import optimizer_settings

        former, (config, optimizer, batch_size, random_state) = self._trainer, self._trained_as
        wanted = self._training_config(n_windows)
        if partial and isinstance(self.batch_size, str) and self.batch_size == batch_size:
            wanted = replace(wanted, batch_size=config.batch_size)
        if has_new_network or (wanted, optimizer_settings(self.optimizer)) != (config, optimizer):
            self._make_trainer(n_windows, 0, wanted)
            self._trainer.take_over(former)
        elif isinstance(self.optimizer, str):
            self._trainer.learning_rate = float(self.learning_rate)
        if self.random_state is not random_state and self.random_state != random_state:
            seed = draw_seed(self.random_state)
            self._trainer.reseed(seed)
            self._holdout_rng = np.random.default_rng(seed)
        self._trained_as = wanted, optimizer_settings(self.optimizer), self.batch_size, self.random_state

    def _settled(self) -> dict[str, str]:
        """Parameters that cannot be told from the network alone, by name; `repr` of each."""
        return {"scale": repr(self.scale)}

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        if self.scale is None:
            return ChannelScaler.identity(windows.n_channels)
        # with window scaling, too, values are first brought near 0 in float64; the network then scales each window
        used = covered_rows(windows.starts, windows.lengths, len(windows.values))
        return ChannelScaler().fit(windows.values, used, windows.channel_names)

    def _train(
        self, windows: Windows, epochs: int, validate: bool = True, weights: np.ndarray | None = None,
        targets: Windows | None = None, bucketed: bool = False,
    ) -> None:  # fmt: skip
        """Train the network on the windows; whatever happens, `history_` and the best weights remain.

        targets: the target of each window, as the network reads it; None: learn from windows alone.
        bucketed: windows and targets that are as long as none before are filled up, to share a graph.
        """
        if epochs == 0:
            return
        weights = np.ones(len(windows), np.float32) if weights is None else weights
        history = self.history_.to_dict("records")
        train, validation = self._validation_split(windows, validate)
        scaled = self.scaler_.transform(windows.values)
        width, target_width = windows.width, 0 if targets is None else targets.width
        if bucketed:
            width = self._shared_width(width)
            if target_width not in (0, self.__dict__.get("n_timesteps_out_", 1)):
                target_width = bucket(target_width)

        def data(part: np.ndarray) -> Any:
            target_part = None if targets is None else targets[part]
            return _training_data(windows[part], scaled, weights[part], target_part, width, target_width)

        callbacks = list(self.callbacks or ())
        try:
            with training_progress(self.verbose, epochs) as on_progress:
                self._trainer.fit(
                    data(train), None if validation is None else data(validation), epochs, patience=self.patience,
                    callbacks=callbacks, on_progress=on_progress, history=history,
                )  # fmt: skip
        finally:
            for callback in callbacks:  # a callback that holds the network could not be cloned with the estimator
                callback.set_model(None)
            self.history_ = _as_history(history)

    def _shared_width(self, width: int) -> int:
        """The steps that windows of up to `width` steps are filled up to, so that few graphs serve all of them."""
        if width == self.n_timesteps_:
            return width
        chunk = self._network.tbptt_steps
        return bucket(width) if chunk is None else -(-width // chunk) * chunk  # no chunk may be empty

    def _validation_split(self, windows: Windows, validate: bool) -> tuple[np.ndarray, np.ndarray | None]:
        if not validate or not self.validation_fraction:
            return np.arange(len(windows)), None
        if len(windows) < 2:
            raise ValueError(
                f"n_samples = {len(windows)}: validation_fraction={self.validation_fraction} needs at least "
                "2 windows; set validation_fraction=0 to train without validation"
            )
        return holdout(windows, self.validation_fraction, self._holdout_rng)

    # -- state -------------------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in self.__dict__

    def __getstate__(self) -> dict[str, Any]:
        """Keep the network as config and weights; leave out what can be rebuilt or is for training alone."""
        state = dict(super().__getstate__())
        for name in ("_trainer", "_trained_as"):
            state.pop(name, None)
        network = state.pop("_network", None)
        if network is not None:
            from tsae.networks.weights import network_state

            state["_network_state"] = network_state(network)
            state["_history"] = state.pop("history_").to_dict("records")  # plain values: skops knows no DataFrame
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        network_state = state.pop("_network_state", None)
        history = state.pop("_history", None)
        super().__setstate__(state)
        if history is not None:
            self.history_ = _as_history(history)
        if network_state is not None:
            ensure_usable()
            from tsae.networks.weights import restore_network

            self._network = restore_network(**network_state)
            self.__dict__.setdefault("_fitted_with", self._settled())

    def _check_restored(self) -> None:
        """Refuse attributes from a file that do not belong together."""
        self._check_parameters()
        if not self.__sklearn_is_fitted__():
            return
        if not isinstance(self._fitted_with, dict):
            raise ValueError(f"_fitted_with is {self._fitted_with!r}; it must be a dict")
        n_channels = self._channels_read()
        if self.n_channels_ != n_channels or type(self.n_features_in_) is not int:
            raise ValueError(f"n_channels_ is {self.n_channels_!r}; the network reads {n_channels}")
        names = self.__dict__.get("channel_names_in_")
        if names is not None and (not isinstance(names, list) or len(names) != n_channels):
            raise ValueError(f"channel_names_in_={names!r} are not the names of {n_channels} channels")
        statistics = (self.scaler_.mean_, self.scaler_.scale_) if isinstance(self.scaler_, ChannelScaler) else ()
        if not statistics or any(part.shape != (n_channels,) or part.dtype != np.float64 for part in statistics):
            raise ValueError(f"scaler_ is not that of {n_channels} channels")
        if self.n_timesteps_ is not None and (type(self.n_timesteps_) is not int or self.n_timesteps_ < 1):
            raise ValueError(f"n_timesteps_={self.n_timesteps_!r} is not a number of steps")

    def _channels_read(self) -> int:
        """Channels of X that the network reads."""
        return int(self._network.encoder.config.n_channels)


def _as_history(rows: list[dict[str, Any]]) -> pd.DataFrame:
    validated = ["val_loss"] if any("val_loss" in row for row in rows) else []
    return pd.DataFrame(rows, columns=["epoch", "loss", *validated, "gradient_norm"])


def _training_data(
    windows: Windows, scaled: np.ndarray, weights: np.ndarray, targets: Windows | None, width: int, target_width: int
) -> Any:
    from tsae.networks.training_data import Targets, TrainingData

    rows = None if targets is None else Targets(targets.values, targets.starts, targets.lengths, target_width)
    return TrainingData(
        values=scaled,
        starts=windows.starts,
        lengths=windows.lengths,
        weights=weights,
        width=width,
        masked=windows.is_ragged or width != windows.width or has_missing(scaled),
        targets=rows,
    )
