"""`LSTMClassifier`: a classifier whose encoder may start from an autoencoder's."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from tsae.data.containers import as_windows
from tsae.data.scaling import ChannelScaler
from tsae.data.windows import Windows
from tsae.estimators.autoencoder import LSTMAutoencoder
from tsae.estimators.base import TrainableModel
from tsae.estimators.continuing import refuse_change
from tsae.estimators.parameters import EncoderParameters, TrainingParameters
from tsae.estimators.reading import check_channels
from tsae.estimators.validation import check_flag, check_number
from tsae.estimators.weighting import check_weights
from tsae.networks.config import ClassifierConfig
from tsae.networks.pooling import POOLINGS
from tsae.progress import preparing
from tsae.storable import storable


@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class ClassifierParameters(EncoderParameters):
    """Parameters of the classifier; documented with `LSTMClassifier`."""

    autoencoder: Any = field(default=None, kw_only=False)
    freeze: bool = field(default=False, kw_only=False)
    pooling: str | Sequence[str] = ("last", "mean", "max", "min", "std", "change")
    class_weight: dict[Any, float] | str | None = None
    noise: float = 0.0


@storable
@dataclass(eq=False, repr=False, match_args=False)
class LSTMClassifier(ClassifierMixin, TrainingParameters, ClassifierParameters, TrainableModel):
    """LSTM classifier of windows: the encoder of `LSTMAutoencoder`, and a softmax over its features.

    The encoder starts from random weights or, better where labels are few, from those of an autoencoder trained on
    windows without labels, and is then fine-tuned [1]_ (section 3.4).

    Parameters
    ----------
    autoencoder : LSTMAutoencoder, FrozenEstimator or None, default=None
        Whose encoder (its layers, pooling, scaling and weights) to start from. A fitted one is used as it is; one
        that is not fitted is first fitted, as a copy, on the X of `fit`. scikit-learn's `clone` forgets fits: in
        cross-validation and searches wrap a fitted one in `sklearn.frozen.FrozenEstimator`. None: a new encoder as
        the parameters below describe it; otherwise those of the encoder are ignored.
    freeze : bool, default=False
        Leave the encoder as it is and train the softmax alone.
    units, cell, bidirectional, scale, kernel_regularizer, recurrent_regularizer : object
        As in `LSTMAutoencoder`.
    dropout : float, default=0.0
        Share of the values dropped between recurrent layers and on the features, in training.
    unroll, dilations : object
        As in `LSTMAutoencoder`.
    pooling : str or sequence of str, default=("last", "mean", "max", "min", "std", "change")
        As in `LSTMAutoencoder`.
    pooled_layers : {"all", "last"}, default="all"
        Layers whose states are pooled.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, as everywhere in scikit-learn.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on the (scaled) input, in training.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name that Keras knows, or an optimizer, which is copied and keeps its own learning rate.
    learning_rate : float, default=1e-3
        Highest learning rate of the schedule.
    schedule, clipnorm, clipvalue, batch_size, epochs, validation_fraction, patience : object
        As in `LSTMAutoencoder`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit. The classes must stay the same.
    callbacks, random_state, verbose : object
        As in `LSTMAutoencoder`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    encoder_ : keras.Model
        Scaled windows -> features.
    model_ : keras.Model
        Scaled windows -> probabilities of the classes.
    scaler_ : ChannelScaler
        Mean and scale of each channel.
    history_ : pandas.DataFrame
        One row per epoch: `epoch`, `loss` (cross-entropy), `val_loss` where windows are held out, and
        `gradient_norm`, the mean norm of the gradients before clipping.
    n_features_in_, n_timesteps_, n_channels_ : int
        As in `LSTMAutoencoder`.
    channel_names_in_ : list of str
        As in `LSTMAutoencoder`.

    References
    ----------
    .. [1] Srivastava, Mansimov, Salakhutdinov (2015). Unsupervised Learning of Video Representations using LSTMs.
       arXiv:1502.04681

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder, LSTMClassifier
    >>> y = np.arange(40) % 2
    >>> X = np.sin(np.arange(25) * (1 + y[:, None]) / 4 + np.arange(40)[:, None])
    >>> autoencoder = LSTMAutoencoder(units=8, epochs=2, random_state=0).fit(X)
    >>> classifier = LSTMClassifier(autoencoder, epochs=2, random_state=0).fit(X, y)
    >>> classifier.predict_proba(X).shape
    (40, 2)
    """

    learning_rate: float = field(default=1e-3, kw_only=True)

    # -- fit ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LSTMClassifier:
        """Train on windows and their labels.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `LSTMAutoencoder.fit`.
        y : array-like of shape (n_windows,)
            Labels of any kind that can be sorted.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weight of each window in the loss, multiplied by that of its class; 0 leaves a window out. None: all are
            equal.

        Returns
        -------
        LSTMClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters, windows or labels that are not allowed, before training starts.
        TrainingDivergedError
            When the loss turns NaN or infinite. The estimator keeps its best weights from before and can be used.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        with preparing(self.verbose, self.epochs):
            windows, codes, weights = self._prepare(X, y, sample_weight, resume=resume)
        self._train_on(windows, codes, weights, self._epochs(len(windows)), bucketed=resume)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> LSTMClassifier:
        """Train for one pass over these windows, from the weights as they are.

        The first call on a new estimator fixes the shape of X, the scale of its channels and the classes, and starts
        from the autoencoder, as `fit` does. Nothing is held out. Parameters may change between calls as between fits
        with `warm_start`.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `LSTMAutoencoder.fit`.
        y : array-like of shape (n_windows,)
            Labels, all of them among `classes`.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that any call will bring. The first call needs them; later they may be left out, or must be
            the same.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weight of each window in the loss, multiplied by that of its class; 0 leaves a window out. None: all are
            equal.

        Returns
        -------
        LSTMClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters, windows or labels that are not allowed, before training starts.
        """
        resume = self.__sklearn_is_fitted__()
        with preparing(self.verbose, 1):
            windows, codes, weights = self._prepare(X, y, sample_weight, resume=resume, partial=True, classes=classes)
        self._train_on(windows, codes, weights, 1, validate=False, bucketed=True)
        return self

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, *, resume: bool, partial: bool = False, classes: Any = None
    ) -> tuple[Windows, np.ndarray, np.ndarray]:
        """Windows, positions of their labels and weights; all is checked before anything is trained."""
        self._check_parameters()
        if y is None:
            raise ValueError("LSTMClassifier requires y to be passed, but the target y is None")
        if partial and isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} is not allowed with partial_fit, which sees a part of the labels "
                "at a time; give a dict of weights"
            )
        if partial and not resume and classes is None:
            raise ValueError("classes=None is not allowed in the first call of partial_fit; name all labels")
        windows = self._read(X, reset=not resume)
        codes = self._read_labels(y, windows, classes, reset=not resume)
        weights = check_weights(windows, sample_weight)
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=self.classes_[codes])
        weights = check_weights(windows, weights * by_class[codes])
        if not weights.all():
            counted = weights > 0
            windows, codes, weights = windows[counted].compact(), codes[counted], weights[counted]
        if resume:
            self._resume(windows, partial=partial)
            return windows, codes, weights
        self._source = self._pretrained(windows)
        try:
            self._start(windows)
            if self._source is not None:
                self._network.encoder.set_weights(self._source.encoder_.get_weights())
        finally:
            del self._source
        self._started_from = self.autoencoder
        return windows, codes, weights

    def _train_on(self, windows: Windows, codes: np.ndarray, weights: np.ndarray, epochs: int, **options: Any) -> None:
        targets = as_windows(codes.astype(np.float32)[:, np.newaxis], name="y")
        self._train(windows, epochs, weights=weights, targets=targets, **options)

    def _resume(self, windows: Windows, *, partial: bool = False) -> None:
        if self.autoencoder is not self._started_from:
            refuse_change("autoencoder", repr(self._started_from), repr(self.autoencoder))
        super()._resume(windows, partial=partial)

    def _settled(self) -> dict[str, str]:
        return super()._settled() if self._unwrapped() is None else {}

    def _check_parameters(self) -> None:
        source = self._unwrapped()
        if source is not None and not isinstance(source, LSTMAutoencoder):
            raise ValueError(
                f"autoencoder={self.autoencoder!r} is not allowed; it must be an LSTMAutoencoder, one wrapped in "
                "FrozenEstimator, or None"
            )
        check_flag("freeze", self.freeze)
        if self.freeze and source is None:
            raise ValueError("freeze=True is not allowed with autoencoder=None: random weights would be frozen")
        check_number("noise", self.noise, 0)
        self._check_class_weight()
        self._check_encoder_parameters()
        self._check_training_parameters()
        learned = [kind for kind in self._pooling()[0] if POOLINGS[kind].has_thresholds]
        if learned:
            raise ValueError(
                f"pooling={self.pooling!r} is not allowed: the thresholds of {learned[0]!r} are learned by an "
                "LSTMAutoencoder alone; pass one as autoencoder, or choose other poolings"
            )
        if source is not None and not source.__sklearn_is_fitted__():
            source._check_parameters()  # noqa: SLF001, an estimator of this package

    def _check_class_weight(self) -> None:
        weights = self.class_weight
        if isinstance(weights, dict):
            for label, weight in weights.items():
                check_number(f"class_weight[{label!r}]", weight, 0)
        elif weights is not None and not (isinstance(weights, str) and weights == "balanced"):
            raise ValueError(f"class_weight={weights!r} is not allowed; it must be a dict, 'balanced' or None")

    def _unwrapped(self) -> Any:
        return self.autoencoder.estimator if isinstance(self.autoencoder, FrozenEstimator) else self.autoencoder

    def _pretrained(self, windows: Windows) -> LSTMAutoencoder | None:
        """The fitted autoencoder to start from."""
        source = self._unwrapped()
        if source is None:
            return None
        if not source.__sklearn_is_fitted__():
            return clone(source).fit(windows)
        check_channels(windows, source, "the autoencoder")
        return source

    def _read_labels(self, y: Any, windows: Windows, classes: Any, reset: bool) -> np.ndarray:
        """Check y and give each label's position in `classes_`."""
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_consistent_length(windows, y)
        found, codes = np.unique(y, return_inverse=True)
        if reset:
            self.classes_ = found if classes is None else unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"classes={unique_labels(classes).tolist()} is not allowed; those of the first call were "
                f"{self.classes_.tolist()}"
            )
        unknown = ~np.isin(found, self.classes_)
        if unknown.any():
            raise ValueError(
                f"y holds the label {found[unknown].tolist()[0]!r}, which is not one of the classes that training "
                f"began with, {self.classes_.tolist()}"
            )
        return np.searchsorted(self.classes_, found)[codes]

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        return super()._fitted_scaler(windows) if self._source is None else deepcopy(self._source.scaler_)

    def _network_config(self, seed: int, windows: Windows) -> ClassifierConfig:
        encoder = self._encoder_config(seed, windows.n_channels)
        source = self.__dict__.get("_source", self._unwrapped())
        if source is not None:  # its layers, trained with this estimator's own parameters
            fitted = source.__sklearn_is_fitted__()
            encoder = replace(
                source.encoder_.config if fitted else source._network_config(0, windows).encoder,  # noqa: SLF001
                dropout=encoder.dropout,
                unroll=encoder.unroll,
                kernel_regularizer=encoder.kernel_regularizer,
                recurrent_regularizer=encoder.recurrent_regularizer,
            )
        return ClassifierConfig(
            encoder=encoder,
            n_classes=len(self.classes_),
            freeze=self.freeze,
            noise=float(self.noise),
            dropout=self.dropout,
            seed=seed + 1,
        )

    # -- use ---------------------------------------------------------------------------------------------------

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_classes), float32
            Columns in the order of `classes_`.
        """
        return self._apply("probabilities", self._read_fitted(X))

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each window.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,)
            Of the type of `classes_`.
        """
        likeliest = np.argmax(self.predict_proba(X), axis=1)
        return self.classes_[likeliest]

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        state.pop("_started_from", None)  # as a rule the parameter `autoencoder`
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.__sklearn_is_fitted__():
            self._started_from = self.autoencoder

    def _check_restored(self) -> None:
        super()._check_restored()
        if self.__sklearn_is_fitted__() and len(self.classes_) != self._network.config.n_classes:
            raise ValueError(f"classes_ has {len(self.classes_)} classes; the network has others")
