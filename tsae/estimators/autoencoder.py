"""`LSTMAutoencoder`: windows in, fixed-length vectors out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tsae.data.splitting import evenly_spaced
from tsae.data.windows import Windows
from tsae.estimators.autoencoder_parameters import AutoencoderParameters
from tsae.estimators.decoder_output import DecodingModel
from tsae.estimators.decoding import check_memory, settled_options
from tsae.estimators.parameters import TrainingParameters
from tsae.estimators.projection import MAX_WINDOWS, principal_components
from tsae.estimators.weighting import weighted
from tsae.networks.config import AutoencoderConfig
from tsae.progress import preparing
from tsae.storable import storable

# Thresholds are quantiles of the states at about so many steps, of at least so many windows; so many at a time.
THRESHOLD_STEPS, THRESHOLD_BATCH_STEPS = 1 << 15, 1 << 12
LEAST_THRESHOLD_WINDOWS = 64


@storable
@dataclass(eq=False, repr=False, match_args=False)
class LSTMAutoencoder(TransformerMixin, TrainingParameters, AutoencoderParameters, DecodingModel):
    """LSTM sequence autoencoder: learns from windows without labels, and turns each into a feature vector.

    An encoder of stacked LSTM layers reads a window; one or several decoders learn to reconstruct it, to predict its
    next steps or to fill in hidden parts. `transform` needs the encoder alone, and pools its states over time.

    Parameters
    ----------
    units : int or sequence of int, default=(64, 64, 64)
        Units of each recurrent layer of the encoder, bottom first.
    cell : {"lstm", "gru"}, default="lstm"
        Kind of the recurrent layers.
    bidirectional : bool, default=True
        Each encoder layer reads the window in both directions.
    scale : {"channel", "window", "both", None}, default="both"
        Bring each channel to mean 0 and standard deviation 1: over all training windows, within each window, both
        (the network reads both, as twice the channels), or not at all.
    kernel_regularizer, recurrent_regularizer : str, dict, keras.regularizers.Regularizer or None, default=None
        Penalty on the input and recurrent weights of all recurrent layers, as Keras takes it: "l1", "l2", "l1_l2", an
        ``L1``, ``L2``, ``L1L2`` or ``OrthogonalRegularizer``, or its configuration as a dict.
    dropout : float, default=0.0
        Share of the values dropped between recurrent layers and on the vector that decoders read, in training;
        one draw per window, held over time.
    unroll : bool, default=False
        Unroll the recurrent layers instead of a loop over steps; same numbers.
    dilations : int, sequence of int or None, default=None
        Steps that each layer's state skips back [3]_ (section 2.1): several layers see several time scales. None:
        1, 4, 16, ... from the bottom up; 1: the usual recurrence in all layers.
    pooling : str or sequence of str, default=("mean", "std", "ppv")
        Which summaries of the states become features: "last" (final hidden state; of both directions where there are
        two), "cell" (final cell state), "mean", "max", "min", "std" (of the hidden state over time), "change" (mean
        absolute change of the hidden state from step to step), "ppv" (proportion of positive values [6]_ (section 3):
        the share of steps at which the hidden state is above a threshold, for each quartile of the unit's states at
        the steps of the training windows). These thresholds are learned when training has ended, and decoders read
        the other summaries alone.
    pooled_layers : {"all", "last"}, default="all"
        Layers whose states are pooled.
    n_components : int or None, default=None
        Reduce the pooled values to so many principal components, which `fit` learns from the standardised values of at
        most 20,000 training windows: compact vectors for similarity search and clustering. At most the number of
        windows, and of pooled values. None: all pooled values.
    decoder : {"reconstruction", "prediction", "composite", "imputation"} or a tuple of them, default="imputation"
        What the network learns:

        - "reconstruction": reconstruct the window from its feature vector [1]_ (section 2.1);
        - "prediction": predict steps from the feature vector [1]_ (section 2.2), see `horizon`;
        - "composite": both, from one encoder [1]_ (section 2.3);
        - "imputation": fill in spans that were hidden from the encoder, by a linear read-out of the hidden state of
          each step, after the denoising objective of [2]_ (section 3.3).
    horizon : int or None, default=None
        For "prediction": None, the target is the window shifted by one step; k, the target is the last k steps of
        each training window, of which the encoder reads all but those. `forecast` then continues past the end of any
        window.
    reverse_target : bool, default=True
        "reconstruction" outputs the last step first [1]_.
    decoder_options : DecoderOptions or None, default=None
        Units, attention, feedback and more of the decoders. None: those of ``DecoderOptions()``.
    augmentation : Augmentation or None, default=None
        Noise, masking and cropping of the windows in training. None: those of ``Augmentation()``.
    differences : bool or "auto", default="auto"
        Let the network also read, as further channels, the change of each channel from the step before, at root mean
        square 1 in each window, so that ripples count that a slow swing outweighs [5]_ (which convolves series and
        differences alike). "auto": with window scaling, where "imputation" is the only decoder.
    loss : {"mse", "mae", "huber"}, default="mse"
        Error between a decoder's output and its target, both scaled.
    tbptt_steps : int or None, default=None
        Process windows in chunks of this many steps, the encoder's state carried over from chunk to chunk, with
        an update after each (truncated back-propagation through time): memory grows with the chunk, not with the
        window. Decoders keep within a chunk, in training and in `reconstruct`. Only for encoders that read forward
        step by step: ``bidirectional=False, dilations=1, scale="channel"`` or None.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name that Keras knows, or an optimizer, which is copied and keeps its own learning rate.
    learning_rate : float, default=1e-2
        Highest learning rate of the schedule.
    schedule : {"constant", "cosine"}, default="cosine"
        "cosine": the learning rate rises from 0 over the first twentieth of the steps and falls along half a cosine
        to 0 [4]_ (section 3). An `optimizer` with a Keras ``LearningRateSchedule`` keeps to that instead.
    clipnorm : float or None, default=1.0
        Limit on the norm of each weight array's gradient, as Keras's argument of that name.
    clipvalue : float or None, default=None
        Limit on each value of the gradients; applied before `clipnorm`.
    batch_size : int or "auto", default="auto"
        Windows per training step; "auto": a 32nd of the windows, at least 8 and at most 128.
    epochs : int or "auto", default="auto"
        Passes over the windows; "auto": as many as make 600 steps, at least one. 0: the encoder keeps its random
        weights, and `fit` learns the channels' scale and the thresholds of "ppv" alone; features at almost no cost.
    validation_fraction : float, default=0.0
        Share of the windows held out of training. Where windows overlap, the last in time of each series, purged
        of overlaps; otherwise a random draw. The weights of the epoch with the lowest loss on them are kept.
    patience : int or None, default=None
        Stop after this many epochs without a lower validation loss (training loss if nothing is held out).
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last fit, with a new learning rate schedule. Parameters of
        training and `augmentation` may change between fits; a change of those that shape the network is an error.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Called at the beginning and end of training and of each epoch; not of batches, which Python does not see. A
        learning rate that a callback sets replaces the rest of the schedule.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default=None
        An integer makes fits repeatable to the bit on one machine's CPU. No global generator is used.
    verbose : int, default=0
        1: a progress bar on a terminal, elsewhere log lines; 2: a log line per epoch.

    Attributes
    ----------
    encoder_ : keras.Model
        The network up to the features: scaled windows -> features. ``encoder_(scaler_.transform(X))`` is what
        `transform` computes.
    model_ : keras.Model
        The whole network: scaled windows -> the output of each decoder.
    scaler_ : ChannelScaler
        Mean and scale of each channel.
    history_ : pandas.DataFrame
        One row per epoch: `epoch`, `loss`, `val_loss` where windows are held out, and `gradient_norm`, the mean norm
        of the gradients before clipping.
    n_features_in_ : int
        Columns of a 2-D X; channels otherwise.
    n_timesteps_ : int or None
        Steps of each window; None after fitting on windows of different lengths.
    n_channels_ : int
        Channels of each window.
    channel_names_in_ : list of str
        Names of the channels, where the data named them (`Windows` of tables). X with names must have the same in the
        same order; X without, such as an array, is taken as it is.

    References
    ----------
    .. [1] Srivastava, Mansimov, Salakhutdinov (2015). Unsupervised Learning of Video Representations using LSTMs.
       arXiv:1502.04681
    .. [2] Zerveas, Jayaraman, Patel, Bhamidipaty, Eickhoff (2021). A Transformer-based Framework for Multivariate
       Time Series Representation Learning. KDD 2021, arXiv:2010.02803
    .. [3] Chang et al. (2017). Dilated Recurrent Neural Networks. NeurIPS 2017, arXiv:1710.02224
    .. [4] Loshchilov, Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017, arXiv:1608.03983
    .. [5] Tan, Dempster, Bergmeir, Webb (2022). MultiRocket: multiple pooling operators and transformations for fast
       and effective time series classification. DMKD 36, arXiv:2102.00457
    .. [6] Dempster, Schmidt, Webb (2021). MiniRocket: a very fast (almost) deterministic transform for time series
       classification. KDD 2021, arXiv:2012.08791

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder
    >>> X = np.sin(np.arange(20 * 30).reshape(20, 30) / 5)
    >>> autoencoder = LSTMAutoencoder(units=8, bidirectional=False, pooling="last", epochs=2, random_state=0)
    >>> autoencoder.fit_transform(X).shape
    (20, 8)
    """

    units: int | Sequence[int] = (64, 64, 64)  # the one positional parameter
    _fewest_epochs: ClassVar[int] = 0  # an encoder of random weights has its uses

    # -- fit ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> LSTMAutoencoder:  # noqa: ARG002
        """Train on windows.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            Windows, an array of shape (n_windows, n_timesteps, n_channels) or, univariate, (n_windows, n_timesteps), a
            table with one row per window, or a list of arrays of shape (n_timesteps_i, n_channels). NaN is a missing
            value, neither input nor target.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weight of each window in the loss, relative to the others; 0 leaves a window out. None: all are equal.

        Returns
        -------
        LSTMAutoencoder
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters or windows that are not allowed, before training starts.
        TrainingDivergedError
            When the loss turns NaN or infinite. The estimator keeps its best weights from before and can be used.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        with preparing(self.verbose, self.epochs):
            windows, weights = self._prepare(X, sample_weight, resume=resume)
        self._train_and_measure(windows, self._epochs(len(windows)), weights=weights, bucketed=resume)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> LSTMAutoencoder:  # noqa: ARG002
        """Train for one pass over these windows, from the weights as they are.

        The first call on a new estimator fixes the shape of X and the scale of its channels. Nothing is held out.
        Each call has a learning rate schedule of its own. Parameters of training may change between calls; of those
        that shape the network, a change is an error.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.
        y : object, default=None
            Ignored.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weight of each window in the loss, relative to the others; 0 leaves a window out. None: all are equal.

        Returns
        -------
        LSTMAutoencoder
            The estimator itself.
        """
        resume = self.__sklearn_is_fitted__()
        with preparing(self.verbose, 1):
            windows, weights = self._prepare(X, sample_weight, resume=resume, partial=True)
        self._train_and_measure(windows, 1, validate=False, weights=weights, bucketed=True)
        return self

    def _train_and_measure(self, windows: Windows, epochs: int, **options: Any) -> None:
        """Train, and learn from the same windows what turns states into features."""
        try:
            self._train(windows, epochs, **options)
        finally:  # whatever ended training, these are the weights that stay
            self._learn_thresholds(windows)
            self._learn_projection(windows)

    def _learn_projection(self, windows: Windows) -> None:
        encoder = self._network.encoder
        if self.n_components is None:
            return
        used = windows[evenly_spaced(len(windows), MAX_WINDOWS)]
        pooled = self._apply("pooled", used)
        encoder.projection.assign(*principal_components(pooled, self.n_components, encoder.config.seed))

    def _learn_thresholds(self, windows: Windows) -> None:
        encoder = self._network.encoder
        if not encoder.config.has_thresholds:
            return
        n_used = min(len(windows), max(LEAST_THRESHOLD_WINDOWS, THRESHOLD_STEPS // windows.width))
        chosen = np.random.default_rng(encoder.config.seed).choice(len(windows), n_used, replace=False)
        used = windows[np.sort(chosen)]

        def batches() -> Iterator[np.ndarray]:
            for _, values in self._chunks(used):
                scaled = self.scaler_.transform(values)
                rows = max(1, THRESHOLD_BATCH_STEPS // scaled.shape[1])
                yield from (scaled[first : first + rows] for first in range(0, len(scaled), rows))

        encoder.learn_thresholds(batches(), min(1.0, THRESHOLD_STEPS / int(used.lengths.sum())))

    def _prepare(
        self, X: Any, sample_weight: Any, *, resume: bool, partial: bool = False
    ) -> tuple[Windows, np.ndarray]:
        """Check parameters, windows and weights; continue with the network as it is, or make a new one."""
        self._check_parameters()
        windows, weights = weighted(self._read(X, reset=not resume), sample_weight)
        self._check_horizon(windows)
        self._check_components(len(windows))
        if resume:
            self._resume(windows, partial=partial)
        else:
            self._start(windows)
        return windows, weights

    def _settled(self) -> dict[str, str]:
        span = repr(self._augmentation().mask_span)
        return {**super()._settled(), "augmentation.mask_span": span, **settled_options(self._options())}

    def _check_parameters(self) -> None:
        self._check_autoencoder_parameters()
        self._check_training_parameters()

    def _network_config(self, seed: int, windows: Windows) -> AutoencoderConfig:
        n = len(windows)
        return self._autoencoder_config(seed, windows, self._epochs(n), -(-n // self._batch_size(n)))

    # -- use ---------------------------------------------------------------------------------------------------

    def _compiled_functions(self) -> dict[str, Any]:
        from tsae.networks.compiled import can_compile, compiled_features

        encoder = self._network.encoder
        return {"features": partial(compiled_features, encoder, self.scaler_)} if can_compile(encoder) else {}

    def transform(self, X: Any) -> np.ndarray:
        """Encode windows.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_features), float32
            One row per window, one column per name of `get_feature_names_out`. Each row depends on its own window
            alone.
        """
        return self._apply("features", self._read_fitted(X))

    def encode_sequence(self, X: Any) -> np.ndarray:
        """The hidden state of the top encoder layer after each step.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, width), float32
            `width` is the layer's units, twice that if bidirectional (forward states first). NaN past the end of a
            shorter window.
        """
        return self._apply("sequence", self._read_fitted(X), by_step=True)

    def score_samples(self, X: Any) -> np.ndarray:
        """How well the decoders reconstruct or predict each window.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_windows,), float32
            Minus the mean squared error over the observed values, in units of the channels' training variance;
            the mean of it over the decoders. Higher is more normal.
        """
        return self._apply("score", self._read_fitted(X))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Mean of `score_samples`; higher is better, so that model selection can use it.

        Parameters
        ----------
        X : Windows, ndarray, DataFrame or list of ndarray
            As in `fit`.
        y : object, default=None
            Ignored.

        Returns
        -------
        float
            In units of the channels' training variance.
        """
        return float(np.mean(self.score_samples(X)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002
        """Names of the features: pooling and unit, such as "mean_3"; with several pooled layers "layer1_mean_3".

        With `n_components` they are "component_0", "component_1", ...

        Parameters
        ----------
        input_features : object, default=None
            Ignored.

        Returns
        -------
        ndarray of str
            One name per column of `transform`.
        """
        check_is_fitted(self)
        return np.asarray(self._network.encoder.config.feature_names(), dtype=object)

    def _check_shape(self, windows: Windows) -> None:
        super()._check_shape(windows)
        network = self._network.config
        check_memory(network.decoder, min(windows.width, network.tbptt_steps or windows.width))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
