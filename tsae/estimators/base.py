"""What every estimator shares: parameters -> network -> fit -> state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from tsae.data.containers import as_windows
from tsae.data.scaling import ChannelScaler, covered_rows
from tsae.data.series import has_missing
from tsae.data.splitting import holdout
from tsae.data.windows import Windows
from tsae.estimators.validation import as_choices, as_layers, check_choice, check_number, check_or_auto, draw_seed
from tsae.io.state import Saveable
from tsae.progress import training_progress

# Windows are gathered and encoded in chunks of about this many bytes.
CHUNK_BYTES = 32 << 20
# From so many steps in one call on, a compiled network, which takes a second or more to make, begins to pay.
MANY_STEPS = 1 << 19
# Steps that epochs="auto" trains for: enough on every set it was chosen on (docs/quality.md).
AUTO_STEPS = 600
POOLINGS = ("last", "cell", "mean", "max", "min", "std", "change")


class SequenceEstimator(Saveable, BaseEstimator):
    """Base of the estimators: reads X, owns the scaler and the network, trains, and travels by pickle and file.

    A subclass says what its parameters mean (`_check_parameters`), which network they describe
    (`_network_config`) and what it computes from batches of windows.
    """

    # -- X -----------------------------------------------------------------------------------------------------

    def _read(self, X: Any, *, reset: bool) -> Windows:
        """Check X and view it as windows; `reset` records its shape, otherwise it must have the fitted one."""
        if _is_table(X):
            table = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan")
            windows = as_windows(table)
        else:
            windows = as_windows(X)
            if reset:
                self.n_features_in_ = windows.n_channels
                self.__dict__.pop("feature_names_in_", None)
        if reset:
            windows = windows.compact()  # a few windows of a long series take only their rows along
            self.n_channels_ = windows.n_channels
            self.n_timesteps_ = None if windows.is_ragged else windows.width
        else:
            self._check_shape(windows)
        return windows

    def _check_shape(self, windows: Windows) -> None:
        if windows.n_channels != self.n_channels_:
            raise ValueError(
                f"X has {windows.n_channels} channels, but {type(self).__name__} was fitted with {self.n_channels_}"
            )
        if self.n_timesteps_ is not None and (windows.is_ragged or windows.width != self.n_timesteps_):
            raise ValueError(
                f"X has windows of {'up to ' if windows.is_ragged else ''}{windows.width} steps, but "
                f"{type(self).__name__} was fitted with {self.n_timesteps_}"
            )

    def _chunks(self, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions of windows and their values, chunk by chunk; ragged windows go sorted by length."""
        bytes_each = windows.width * windows.n_channels * 8
        rows = max(128, CHUNK_BYTES // bytes_each // 128 * 128)
        lengths = windows.lengths if windows.is_ragged or self.n_timesteps_ is None else None
        order = np.arange(len(windows)) if lengths is None else np.argsort(lengths, kind="stable")
        for first in range(0, len(windows), rows):
            positions = order[first : first + rows]
            if lengths is None:
                yield positions, windows[first : first + rows].view()
            else:
                yield positions, _to_width(windows.gather(positions), _bucket(int(lengths[positions].max())))

    def _apply(self, function: str, windows: Windows, by_step: bool = False, **options: Any) -> Any:
        """Call one of `_functions` on all windows and lay the results (arrays or a dict of them) end to end.

        by_step: axis 1 is that of the windows' steps, cut or filled with NaN to the width of the windows.
        options: further arguments of the function.
        """
        collected: dict[str, np.ndarray] = {}
        compiled = self._compiled_function(function, windows)
        for positions, values in self._chunks(windows):
            if compiled is not None and not has_missing(values):
                out = compiled(values)
            else:
                out = self._function(function, **options)(self.scaler_.transform(values))
            for key, part in (out if isinstance(out, dict) else {"": out}).items():
                if by_step:
                    part = _to_width(part, windows.width)
                if key not in collected:
                    collected[key] = np.empty((len(windows), *part.shape[1:]), part.dtype)
                collected[key][positions] = part
        return collected.get("", collected)

    def _apply_weights(self, function: str, windows: Windows, n_said: int, **options: Any) -> np.ndarray:
        """`_apply` for attention weights: (n_windows, n_said, n_timesteps), NaN where there are none."""
        found = np.full((len(windows), n_said, windows.width), np.nan, np.float32)
        for positions, values in self._chunks(windows):
            scaled = self.scaler_.transform(values)
            weights = self._function(function, **options)(scaled)[:, :n_said, : windows.width]
            found[positions, : weights.shape[1], : weights.shape[2]] = weights
        return found

    def _function(self, name: str, **options: Any):
        """A compiled function of the network; compiled at its first use with these options."""
        from tsae.networks.inference import BatchFunction

        compiled = self.__dict__.setdefault("_compiled", {})
        key = (name, *sorted(options.items()))
        if key not in compiled:
            compiled[key] = BatchFunction(partial(self._functions()[name], **options))
        return compiled[key]

    def _compiled_functions(self) -> dict:
        """Those of `_functions` that have a form for large calls: values of complete windows, not scaled -> result."""
        return {}

    def _compiled_function(self, name: str, windows: Windows):
        """The form for large calls, where there is one and these windows are such a call."""
        if windows.is_ragged or self.n_timesteps_ is None or len(windows) * windows.width < MANY_STEPS:
            return None
        found = self._compiled_functions().get(name)
        if found is None:
            return None
        from tsae.networks.xla_loops import has_compiler

        return found if has_compiler() else None

    # -- fit ---------------------------------------------------------------------------------------------------

    def _start(self, windows: Windows) -> None:
        """A new scaler, network and trainer for these windows."""
        from tsae.networks.building import build_network, build_trainer

        seed = draw_seed(self.random_state)
        self.scaler_ = self._fitted_scaler(windows)
        self._network = build_network(self._network_config(seed, windows))
        self._compiled: dict = {}
        self._trainer = build_trainer(self._network, seed=seed, **self._training_options(len(windows)))
        self._holdout_rng = np.random.default_rng(seed)
        self._history: list[dict] = []

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        if self.scale is None:
            return ChannelScaler.identity(windows.n_channels)
        # windows, too, are first brought near to 0 in float64; the network then scales each of them
        used = covered_rows(windows.starts, windows.lengths, len(windows.values))
        return ChannelScaler().fit(windows.values, used)

    def _resume(self, windows: Windows) -> None:
        """Go on with the network as it is; after unpickling the optimizer starts anew."""
        from tsae.networks.building import build_trainer

        if "_trainer" not in self.__dict__:
            seed = draw_seed(self.random_state)
            self._trainer = build_trainer(self._network, seed=seed, **self._training_options(len(windows)))

    def _train(
        self, windows: Windows, epochs: int, validate: bool = True, weights: np.ndarray | None = None,
        targets: Windows | None = None,
    ) -> None:  # fmt: skip
        """Train the network on the windows; whatever happens, `history_` and the best weights remain.

        targets: what each window is to be turned into, as the network reads it; None: learn from windows alone.
        """
        weights = np.ones(len(windows), np.float32) if weights is None else weights
        train: np.ndarray = np.arange(len(windows))
        validation: np.ndarray | None = None
        if validate and self.validation_fraction:
            if len(windows) < 2:
                raise ValueError(
                    f"n_samples = {len(windows)}: validation_fraction={self.validation_fraction} needs at least "
                    "2 windows; set validation_fraction=0 to train without validation"
                )
            train, validation = holdout(windows, self.validation_fraction, self._holdout_rng)
        scaled = self.scaler_.transform(windows.values)

        def data(part: np.ndarray) -> Any:
            aims = None if targets is None else targets[part]
            return self._training_data(windows[part], scaled, weights[part], aims)

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

    def _training_data(self, windows: Windows, scaled: np.ndarray, weights: np.ndarray, targets: Windows | None):
        from tsae.networks.training import Targets, TrainingData

        aims = None if targets is None else Targets(targets.values, targets.starts, targets.lengths, targets.width)
        return TrainingData(
            values=scaled,
            starts=windows.starts,
            lengths=windows.lengths,
            weights=weights,
            width=windows.width,
            masked=windows.is_ragged or has_missing(scaled),
            targets=aims,
        )

    def _as_history(self) -> pd.DataFrame:
        columns = ["epoch", "loss"] + (["val_loss"] if any("val_loss" in row for row in self._history) else [])
        columns += ["gradient_norm"] if self.gradient_norm else []
        return pd.DataFrame(self._history, columns=columns)

    def _check_training_parameters(self) -> None:
        check_choice("scale", self.scale, ["channel", "window", "both", None])
        check_number("learning_rate", self.learning_rate, 0, open_low=True)
        check_number("clipnorm", self.clipnorm, 0, none=True, open_low=True)
        check_number("clipvalue", self.clipvalue, 0, none=True, open_low=True)
        check_choice("schedule", self.schedule, ["constant", "cosine"])
        for name in ("batch_size", "epochs"):
            check_or_auto(name, getattr(self, name), 1)
        check_number("validation_fraction", self.validation_fraction, 0, 1, open_high=True)
        check_number("patience", self.patience, 1, integer=True, none=True)
        check_choice("gradient_norm", self.gradient_norm, [True, False])

    def _check_encoder_parameters(self) -> None:
        as_layers("units", self.units)
        self._dilations()
        check_choice("cell", self.cell, ["lstm", "gru"])
        if "cell" in as_choices("pooling", self.pooling, POOLINGS) and self.cell == "gru":
            raise ValueError("pooling='cell' is not allowed with cell='gru': a GRU has no cell state")
        check_choice("pooled_layers", self.pooled_layers, ["all", "last"])
        for name in ("bidirectional", "unroll"):
            check_choice(name, getattr(self, name), [True, False])
        for name in ("kernel_l1", "kernel_l2", "recurrent_l1", "recurrent_l2"):
            check_number(name, getattr(self, name), 0)
        check_number("dropout", self.dropout, 0, 1, open_high=True)

    def _dilations(self) -> list[int]:
        """One dilation a layer."""
        n_layers = len(as_layers("units", self.units))
        if self.dilations is None:
            return [4**depth for depth in range(n_layers)]
        dilations = as_layers("dilations", self.dilations)
        if len(dilations) == 1:
            dilations = dilations * n_layers
        if len(dilations) != n_layers:
            raise ValueError(
                f"dilations={self.dilations!r} is not allowed; units={self.units!r} has {n_layers} layers: give one "
                "integer for all of them, or one for each"
            )
        return dilations

    def _encoder_config(self, seed: int, n_channels: int) -> dict:
        return {
            "n_channels": n_channels, "units": as_layers("units", self.units), "dilations": self._dilations(),
            "cell": self.cell, "bidirectional": self.bidirectional,
            "pooling": as_choices("pooling", self.pooling, POOLINGS), "pooled_layers": self.pooled_layers,
            "window_scale": {"window": "only", "both": "beside"}.get(self.scale, "none"),
            "differences": self._reads_differences(), "dropout": self.dropout, "unroll": self.unroll,
            "kernel_l1": self.kernel_l1, "kernel_l2": self.kernel_l2, "recurrent_l1": self.recurrent_l1,
            "recurrent_l2": self.recurrent_l2, "seed": seed,
        }  # fmt: skip

    def _reads_differences(self) -> bool:
        return False

    def _training_options(self, n_windows: int) -> dict:
        return {
            "optimizer": self.optimizer, "learning_rate": self.learning_rate, "schedule": self.schedule,
            "batch_size": self._batch_size(n_windows), "clipnorm": self.clipnorm, "clipvalue": self.clipvalue,
        }  # fmt: skip

    def _batch_size(self, n_windows: int) -> int:
        """ "auto": small sets get many small steps, large ones get batches that keep all cores busy."""
        return self.batch_size if self.batch_size != "auto" else int(np.clip(n_windows // 32, 8, 128))

    def _epochs(self, n_windows: int) -> int:
        """ "auto": as many as make AUTO_STEPS steps, and at least one."""
        if self.epochs != "auto":
            return self.epochs
        return max(1, round(AUTO_STEPS * self._batch_size(n_windows) / n_windows))

    # -- state -------------------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return "_network" in self.__dict__

    def __getstate__(self) -> dict:
        """The network travels as its configuration and weights; what can be rebuilt or is only for training stays."""
        state = dict(super().__getstate__())
        state.pop("_compiled", None)
        state.pop("_trainer", None)
        network = state.pop("_network", None)
        if network is not None:
            from tsae.networks.weights import network_state

            state["_network_state"] = network_state(network)
        return state

    def __setstate__(self, state: dict) -> None:
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
        """Channels of X, as the network says."""
        return self._network.encoder.n_channels


def _is_table(X: Any) -> bool:
    """Whether X is for scikit-learn to check: anything that is not plainly windows, 3-D or ragged."""
    if isinstance(X, Windows):
        return False
    if isinstance(X, (list, tuple)):
        if len(X) and all(isinstance(part, np.ndarray) and part.ndim == 2 for part in X):
            return False
        return len({np.size(part) for part in X}) <= 1 and not (len(X) and np.ndim(X[0]) > 1)
    return getattr(X, "ndim", 2) != 3


def _bucket(n_timesteps: int) -> int:
    """The next power of two: ragged batches of nearby widths share one graph."""
    return 1 << max(2, (n_timesteps - 1).bit_length())


def _to_width(values: np.ndarray, width: int) -> np.ndarray:
    """Cut or fill with NaN along the steps."""
    if values.shape[1] >= width:
        return values[:, :width]
    filler = np.full((len(values), width - values.shape[1], values.shape[2]), np.nan, values.dtype)
    return np.concatenate([values, filler], axis=1)
