"""`LSTMAutoencoder`: windows in, fixed-length vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from tsae.data.windows import Windows
from tsae.estimators.base import SequenceEstimator
from tsae.estimators.decoding import check_decoding, check_memory, decoder_config, sampling_config
from tsae.estimators.validation import as_choices, as_layers, check_choice, check_number, check_or_auto
from tsae.io.storable import storable

DECODERS = ("reconstruction", "prediction", "imputation")
RECURRENT = ("reconstruction", "prediction")


@storable
class LSTMAutoencoder(TransformerMixin, SequenceEstimator):
    """LSTM sequence autoencoder: learns from windows without labels, and turns each into a feature vector.

    An encoder of stacked LSTM layers reads a window; one or several decoders learn to rebuild it, to foresee its
    next steps or to fill in hidden parts. After training the decoders are put aside: `transform` runs the encoder
    alone and pools its states over time.

    Parameters
    ----------
    units : int or sequence of int, default=(64, 64, 64)
        Units of each recurrent layer of the encoder, bottom first.
    dilations : int, sequence of int or None, default=None
        Steps that each layer's state skips back [3]_ (section 2.1): several layers see several time scales. None:
        1, 4, 16, ... from the bottom up; 1: the usual recurrence in all layers.
    decoder : {"reconstruction", "prediction", "composite", "imputation"} or a tuple of them, default="imputation"
        What the network learns:

        - "reconstruction": rebuild the window from its feature vector [1]_ (section 2.1);
        - "prediction": foresee steps from the feature vector [1]_ (section 2.2), see `horizon`;
        - "composite": both, from one encoder [1]_ (section 2.3);
        - "imputation": fill in spans that were hidden from the encoder (`mask_rate`), by a linear read-out of the
          hidden state of each step, after the denoising objective of [2]_ (section 3.3).
    horizon : int or None, default=None
        For "prediction": None aims at the window shifted by one step; k at the last k steps of each training
        window, of which the encoder reads all but those. `forecast` then continues past the end of any window.
    reverse_target : bool, default=True
        "reconstruction" gives the last step first [1]_.
    cell : {"lstm", "gru"}, default="lstm"
    bidirectional : bool, default=True
        Each encoder layer reads the window in both directions.
    pooling : str or sequence of str, default=("mean", "max", "min", "std", "change")
        What of the states becomes features: "last" (final hidden state; of both directions where there are two),
        "cell" (final cell state), "mean", "max", "min", "std" (of the hidden state over time), "change" (mean
        size of the hidden state's steps).
    pooled_layers : {"all", "last"}, default="all"
        Layers whose states are pooled.
    decoder_units : int, sequence of int or None, default=None
        Units of the recurrent decoders, bottom first. None: those of the encoder, top first.
    handover : {"context", "state", "both"}, default="context"
        How the encoder hands over to the recurrent decoders: "context", they read the feature vector at every step;
        "state", their layers begin with the encoder's final states (through a dense layer where widths differ), and
        the feature vector is no bottleneck.
    conditioning : {None, "teacher", "scheduled"}, default=None
        Whether the recurrent decoders read their own last output [1]_ (section 2.3), and what they read in its place
        while training: "teacher", the truth; "scheduled", the truth less and less often [5]_. In use they read their
        own output.
    sampling : {"linear", "exponential", "inverse_sigmoid"}, default="linear"
        For "scheduled": how the probability of the truth falls from 1 with the updates [5]_ (section 2.4).
    sampling_epochs : float or None, default=None
        Epochs over which it falls: to 0 ("linear"), or to 1 % of the way. None: half of `epochs`. 0: the truth is
        never read.
    sampling_floor : float, default=0.0
        Probability of the truth that it falls to.
    attention : {None, "dot", "general", "concat", "location", "additive"}, default=None
        Let the recurrent decoders look at the encoder's state of each step: global attention [6]_ (section 3.1), or
        additive attention [7]_. They then look past the feature vector, which need no longer hold the window.
    input_feeding : bool, default=False
        With attention of [6]_: the decoder also reads what it attended to in the step before (section 3.3).
    scale : {"channel", "window", "both", None}, default="both"
        Bring each channel to mean 0 and standard deviation 1: over all training windows, within each window, both
        (the network reads the one beside the other, as twice the channels), or not at all.
    differences : bool or "auto", default="auto"
        Let the network also read, as further channels, the change of each channel from the step before, at root mean
        square 1 in each window, so that ripples count that a slow swing outweighs [8]_ (which convolves series and
        differences alike). "auto": with window scaling, where "imputation" is the only decoder.
    loss : {"mse", "mae", "huber"}, default="mse"
        Error between what a decoder says and its target, both scaled.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name of Keras's, or an optimizer, which is copied and keeps its own learning rate.
    learning_rate : float, default=1e-2
    schedule : {"constant", "cosine"}, default="cosine"
        "cosine": the learning rate rises from 0 over the first twentieth of the steps and falls along half a cosine
        to 0 [4]_ (section 3). Unless stopped early, training ends at rest. An `optimizer` with a Keras
        ``LearningRateSchedule`` keeps to that instead.
    clipnorm : float or None, default=1.0
        Limit on the norm of each weight array's gradient, as Keras's argument of that name.
    clipvalue : float or None, default=None
        Limit on each value of the gradients; applied before `clipnorm`.
    kernel_l1, kernel_l2, recurrent_l1, recurrent_l2 : float, default=0.0
        Penalties on the input and recurrent weights of all recurrent layers.
    dropout : float, default=0.0
        Share of the values dropped between recurrent layers and on the vector that decoders read, in training;
        one draw a window, held over time.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise on the (scaled) input of the encoder, in training.
    mask_rate : float or None, default=None
        Share of the steps hidden from the encoder in training, in spans of 1 to `mask_span` steps. None: 0.3 with
        "imputation", else 0.
    mask_span : int or None, default=None
        Longest hidden span, in steps. None: an eighth of the window (of the longest, where lengths differ), at most
        10, so that enough is left to rebuild it from.
    offsets : sequence of int or "auto", default="auto"
        For "imputation": steps before and after its own whose values the read-out of a state gives, too, so that the
        state must know of more than its step; () for its own alone. "auto": a 32nd and an eighth of the window (of
        the longest, of a stretch where windows are cropped).
    truncate : int or None, default=None
        Work through windows in pieces of this many steps, the encoder's state carried over from piece to piece, with
        an update after each (truncated back-propagation through time): memory grows with the piece, not with the
        window. Decoders keep within a piece, in training and in `reconstruct`. Only for encoders that read forward
        step by step: ``bidirectional=False, dilations=1, scale="channel"`` or None.
    crop : int, None or "auto", default="auto"
        Train on stretches of this many steps, drawn anew each time, of windows that are longer; with window scaling
        a stretch keeps the scale of its window. "auto": 256 where "imputation" is the only decoder, otherwise None,
        whole windows.
    batch_size : int or "auto", default="auto"
        Windows in a training step; "auto": a 32nd of the windows, at least 8 and at most 128.
    epochs : int or "auto", default="auto"
        Passes over the windows; "auto": as many as make 600 steps, at least one.
    validation_fraction : float, default=0.0
        Share of the windows held out of training. Where windows overlap, the last in time of each series, purged
        of overlaps; otherwise a random draw. The weights of the epoch with the lowest loss on them are kept.
    patience : int or None, default=None
        Stop after this many epochs without a lower validation loss (training loss if nothing is held out).
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last fit.
    callbacks : list of keras.callbacks.Callback or None, default=None
        Told of the beginning and end of training and of each epoch; not of batches, which Python does not see.
    gradient_norm : bool, default=False
        Whether `history_` holds the mean norm of the gradients before clipping.
    unroll : bool, default=False
        Build the recurrent layers as one stretch of steps instead of a loop; same numbers.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default=None
        An integer makes fits repeatable to the bit on one machine's CPU. No global generator is used.
    verbose : int, default=0
        1: a progress bar on a terminal, elsewhere log lines; 2: a log line an epoch.

    Attributes
    ----------
    encoder_ : keras.Model
        The network cut off above the encoder: scaled windows -> features. ``encoder_(scaler_.transform(X))`` is
        what `transform` computes.
    model_ : keras.Model
        The whole network: scaled windows -> what each decoder says.
    scaler_ : ChannelScaler
        Mean and scale of each channel.
    history_ : pandas.DataFrame
        One row an epoch: `epoch`, `loss`, and `val_loss`, `gradient_norm` where asked for.
    n_features_in_ : int
        Columns of a 2-D X; channels otherwise.
    n_timesteps_ : int or None
        Steps of each window; None after fitting on windows of different lengths.
    n_channels_ : int

    References
    ----------
    .. [1] Srivastava, Mansimov, Salakhutdinov (2015). Unsupervised Learning of Video Representations using LSTMs.
       arXiv:1502.04681
    .. [2] Zerveas, Jayaraman, Patel, Bhamidipaty, Eickhoff (2021). A Transformer-based Framework for Multivariate
       Time Series Representation Learning. KDD 2021, arXiv:2010.02803
    .. [3] Chang et al. (2017). Dilated Recurrent Neural Networks. NeurIPS 2017, arXiv:1710.02224
    .. [4] Loshchilov, Hutter (2017). SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017, arXiv:1608.03983
    .. [5] Bengio, Vinyals, Jaitly, Shazeer (2015). Scheduled Sampling for Sequence Prediction with Recurrent Neural
       Networks. NeurIPS 2015, arXiv:1506.03099
    .. [6] Luong, Pham, Manning (2015). Effective Approaches to Attention-based Neural Machine Translation. EMNLP 2015,
       arXiv:1508.04025
    .. [7] Bahdanau, Cho, Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR
       2015, arXiv:1409.0473
    .. [8] Tan, Dempster, Bergmeir, Webb (2022). MultiRocket: multiple pooling operators and transformations for fast
       and effective time series classification. DMKD 36, arXiv:2102.00457

    Examples
    --------
    >>> import numpy as np
    >>> from tsae import LSTMAutoencoder
    >>> X = np.sin(np.arange(20 * 30).reshape(20, 30) / 5)
    >>> autoencoder = LSTMAutoencoder(units=8, bidirectional=False, pooling="last", epochs=2, random_state=0)
    >>> autoencoder.fit_transform(X).shape
    (20, 8)
    """

    def __init__(
        self,
        units: int | Sequence[int] = (64, 64, 64),
        *,
        dilations: int | Sequence[int] | None = None,
        decoder: str | Sequence[str] = "imputation",
        horizon: int | None = None,
        reverse_target: bool = True,
        cell: str = "lstm",
        bidirectional: bool = True,
        pooling: str | Sequence[str] = ("mean", "max", "min", "std", "change"),
        pooled_layers: str = "all",
        decoder_units: int | Sequence[int] | None = None,
        handover: str = "context",
        conditioning: str | None = None,
        sampling: str = "linear",
        sampling_epochs: float | None = None,
        sampling_floor: float = 0.0,
        attention: str | None = None,
        input_feeding: bool = False,
        scale: str | None = "both",
        differences: bool | str = "auto",
        loss: str = "mse",
        optimizer: Any = "adam",
        learning_rate: float = 1e-2,
        schedule: str = "cosine",
        clipnorm: float | None = 1.0,
        clipvalue: float | None = None,
        kernel_l1: float = 0.0,
        kernel_l2: float = 0.0,
        recurrent_l1: float = 0.0,
        recurrent_l2: float = 0.0,
        dropout: float = 0.0,
        noise: float = 0.0,
        mask_rate: float | None = None,
        mask_span: int | None = None,
        offsets: Sequence[int] | str = "auto",
        truncate: int | None = None,
        crop: int | str | None = "auto",
        batch_size: int | str = "auto",
        epochs: int | str = "auto",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Any] | None = None,
        gradient_norm: bool = False,
        unroll: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ):
        self.units = units
        self.dilations = dilations
        self.decoder = decoder
        self.horizon = horizon
        self.reverse_target = reverse_target
        self.cell = cell
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.pooled_layers = pooled_layers
        self.decoder_units = decoder_units
        self.handover = handover
        self.conditioning = conditioning
        self.sampling = sampling
        self.sampling_epochs = sampling_epochs
        self.sampling_floor = sampling_floor
        self.attention = attention
        self.input_feeding = input_feeding
        self.scale = scale
        self.differences = differences
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.kernel_l1 = kernel_l1
        self.kernel_l2 = kernel_l2
        self.recurrent_l1 = recurrent_l1
        self.recurrent_l2 = recurrent_l2
        self.dropout = dropout
        self.noise = noise
        self.mask_rate = mask_rate
        self.mask_span = mask_span
        self.offsets = offsets
        self.truncate = truncate
        self.crop = crop
        self.batch_size = batch_size
        self.epochs = epochs
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.gradient_norm = gradient_norm
        self.unroll = unroll
        self.random_state = random_state
        self.verbose = verbose

    # -- fit ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> LSTMAutoencoder:
        """Train on windows.

        Parameters
        ----------
        X : Windows, ndarray of shape (n_windows, n_timesteps, n_channels) or (n_windows, n_timesteps), DataFrame,
            or list of arrays of shape (n_timesteps_i, n_channels)
            A 2-D X is univariate. NaN is a missing value, neither input nor target.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For arguments or windows that are not allowed, before training starts.
        TrainingDivergedError
            When the loss turns NaN or infinite. The estimator keeps its best weights from before and can be used.
        """
        self._check_parameters()
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        windows = self._read(X, reset=not going_on)
        self._check_horizon(windows)
        if going_on:
            self._resume(windows)
        else:
            self._start(windows)
        self._train(windows, self._epochs(len(windows)))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> LSTMAutoencoder:
        """Train for one pass over these windows, from the weights as they are.

        The first call on a new estimator fixes the shape of X and the scale of its channels. Nothing is held out.

        Parameters
        ----------
        X : as in `fit`
        y : ignored

        Returns
        -------
        self
        """
        self._check_parameters()
        first = not self.__sklearn_is_fitted__()
        windows = self._read(X, reset=first)
        self._check_horizon(windows)
        if first:
            self._start(windows)
        else:
            self._resume(windows)
        self._train(windows, epochs=1, validate=False)
        return self

    def _check_parameters(self) -> None:
        self._check_encoder_parameters()
        decoders = self._decoders()
        check_choice("loss", self.loss, ["mse", "mae", "huber"])
        check_number("horizon", self.horizon, 1, integer=True, none=True)
        for name in ("reverse_target", "warm_start"):
            check_choice(name, getattr(self, name), [True, False])
        check_number("noise", self.noise, 0)
        check_number("mask_rate", self.mask_rate, 0, 1, none=True, open_high=True)
        check_number("mask_span", self.mask_span, 1, integer=True, none=True)
        self._offsets(1)
        if "imputation" in decoders and self.mask_rate == 0:
            raise ValueError("mask_rate=0 is not allowed with decoder='imputation': nothing would be hidden")
        check_or_auto("crop", self.crop, 2, none=True)
        check_choice("differences", self.differences, [True, False, "auto"])
        by_window = self.scale in ("window", "both") or self._reads_differences()
        if self.horizon is not None and "prediction" in decoders and self._crop() and by_window:
            raise ValueError(
                f"crop={self.crop!r} is not allowed with horizon={self.horizon}, scale={self.scale!r} and "
                f"differences={self.differences!r}: a stretch keeps the scale of its whole window, which would tell of "
                "what is to be predicted; set crop=None, or scale='channel' and differences=False"
            )
        self._check_decoder_parameters(decoders)
        self._check_truncate(decoders)
        self._check_training_parameters()

    def _check_decoder_parameters(self, decoders: list[str]) -> None:
        encoder_width = as_layers("units", self.units)[-1] * (2 if self.bidirectional else 1)
        check_decoding(self, encoder_width, self._decoder_units())
        if set(decoders) & set(RECURRENT):
            return
        for name, unused in (("conditioning", None), ("attention", None), ("handover", "context")):
            if getattr(self, name) != unused:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not allowed with decoder={self.decoder!r}: its read-out of "
                    "each step is no recurrent decoder; choose decoder='reconstruction', 'prediction' or 'composite'"
                )

    def _check_truncate(self, decoders: list[str]) -> None:
        check_number("truncate", self.truncate, 2, integer=True, none=True)
        if self.truncate is None:
            return
        reasons = (
            ("bidirectional", self.bidirectional, "the way back would need the whole window; set bidirectional=False"),
            ("dilations", self._dilations() != [1] * len(self._dilations()),
             "a state that skips back further than one step is not carried over; set dilations=1"),
            ("scale", self.scale in ("window", "both"), "a window's scale needs the whole window; set scale='channel'"),
            ("differences", self._reads_differences(), "their scale is the whole window's; set differences=False"),
            ("horizon", self.horizon is not None and "prediction" in decoders,
             "the decoders keep within a piece; set horizon=None"),
            ("crop", self.crop not in ("auto", None), "windows are either cropped or worked through; set crop=None"),
        )  # fmt: skip
        for name, wrong, reason in reasons:
            if wrong:
                raise ValueError(
                    f"truncate={self.truncate} is not allowed with {name}={getattr(self, name)!r}: {reason}"
                )

    def _decoders(self) -> list[str]:
        """The decoders to train, "composite" spelt out."""
        chosen = as_choices("decoder", self.decoder, (*DECODERS, "composite"))
        spelt = [part for c in chosen for part in (DECODERS[:2] if c == "composite" else (c,))]
        return sorted(set(spelt), key=DECODERS.index)

    def _decoder_units(self) -> list[int]:
        if self.decoder_units is None:
            return as_layers("units", self.units)[::-1]
        return as_layers("decoder_units", self.decoder_units)

    def _check_horizon(self, windows: Windows) -> None:
        if "prediction" not in self._decoders():
            return
        needed = 2 if self.horizon is None else self.horizon + 2
        shortest = windows.lengths.min() if windows.is_ragged else windows.width
        shortest = min(shortest, self._crop() or shortest)
        if shortest < needed:
            raise ValueError(
                f"X has windows of {shortest} steps (1 feature(s) is too few, n_features = {shortest}), but "
                f"horizon={self.horizon} with decoder={self.decoder!r} needs at least {needed}"
            )

    def _crop(self) -> int | None:
        if not isinstance(self.crop, str):
            return self.crop
        return 256 if self._decoders() == ["imputation"] and self.truncate is None else None

    def _reads_differences(self) -> bool:
        if self.differences == "auto":
            return self._decoders() == ["imputation"] and self.scale in ("window", "both")
        return bool(self.differences)

    def _offsets(self, n_timesteps: int) -> list[int]:
        if isinstance(self.offsets, str) and self.offsets == "auto":
            width = min(n_timesteps, self._crop() or n_timesteps, self.truncate or n_timesteps)
            return sorted({width // 32, width // 8} - {0})
        offsets: list[Any] = list(self.offsets) if isinstance(self.offsets, (list, tuple)) else [self.offsets]
        for offset in offsets:
            check_number("offsets", offset, 1, integer=True, or_else="a sequence of such, or 'auto'")
        return [int(offset) for offset in offsets]

    def _network_config(self, seed: int, windows: Windows) -> dict:
        decoders, n = self._decoders(), len(windows)
        updates = -(-n // self._batch_size(n)) * (-(-windows.width // self.truncate) if self.truncate else 1)
        return {
            "encoder": self._encoder_config(seed, self.n_channels_), "decoders": decoders,
            "decoder_units": self._decoder_units(), "decoder": decoder_config(self, self.truncate or windows.width),
            "conditioning": self.conditioning, "sampling": sampling_config(self, self._epochs(n), updates),
            "truncate": self.truncate, "horizon": self.horizon, "reverse_target": self.reverse_target,
            "loss": self.loss, "noise": self.noise,
            "mask_rate": self.mask_rate if self.mask_rate is not None else 0.3 if "imputation" in decoders else 0.0,
            "mask_span": self.mask_span or int(np.clip(windows.width // 8, 1, 10)),
            "offsets": self._offsets(windows.width),
            "crop": self._crop(), "dropout": self.dropout, "seed": seed + 1, "name": "autoencoder",
        }  # fmt: skip

    # -- use ---------------------------------------------------------------------------------------------------

    def _functions(self) -> dict:
        from tsae.networks import use

        return use.functions(self._network)

    def _compiled_functions(self) -> dict:
        from tsae.networks.compiled import can_compile, compiled_features

        encoder = self._network.encoder
        return {"features": partial(compiled_features, encoder, self.scaler_)} if can_compile(encoder) else {}

    @property
    def decoders_(self) -> tuple[str, ...]:
        """Names of the trained decoders, as `reconstruct` takes them."""
        check_is_fitted(self)
        return tuple(head.name for head in self._network.heads)

    @property
    def encoder_(self) -> Any:
        check_is_fitted(self)
        return self._network.encoder

    @property
    def model_(self) -> Any:
        check_is_fitted(self)
        return self._network

    def transform(self, X: Any) -> np.ndarray:
        """Encode windows.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_windows, n_features), float32
            One column a name of `get_feature_names_out`. Each row depends on its own window alone.
        """
        return self._apply("features", self._fitted(X))

    def encode_sequence(self, X: Any) -> np.ndarray:
        """The hidden state of the top encoder layer after each step.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, width), float32
            `width` is the layer's units, twice that if bidirectional (forward states first). NaN past the end of a
            shorter window.
        """
        return self._apply("sequence", self._fitted(X), by_step=True)

    def reconstruct(self, X: Any, decoder: str | None = None, *, shown: bool = False) -> np.ndarray:
        """What a decoder makes of each window, laid over the window's own steps.

        Parameters
        ----------
        X : as in `fit`
        decoder : {"reconstruction", "prediction", "imputation"} or None, default=None
            None: the first of these that was trained.
        shown : bool, default=False
            "imputation" rebuilds each step while it is hidden. True: from the whole window, the step included; what
            cannot be copied faithfully even so is unlike the training data. The other decoders see all as it is.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_channels), float32
            In the units of X. NaN where the decoder says nothing: with ``horizon=k`` "prediction" gives the last k
            steps and "reconstruction" those before; without, "prediction" gives all but the first.
        """
        windows = self._fitted(X)
        trained = [head.name for head in self._network.heads]
        check_choice("decoder", decoder, [*trained, None])
        name = decoder or trained[0]
        name = "imputation_shown" if shown and name == "imputation" else name
        return self.scaler_.inverse_transform(self._apply(name, windows, by_step=True))

    def attention_weights(self, X: Any, decoder: str | None = None) -> np.ndarray:
        """Where a decoder looks: for each step that it says something of, the weight of each step that was read.

        Parameters
        ----------
        X : as in `fit`
        decoder : {"reconstruction", "prediction"} or None, default=None
            None: the first of these that was trained.

        Returns
        -------
        ndarray of shape (n_windows, n_timesteps, n_timesteps), float32
            ``[i, t, s]``: at step t of window i (laid as by `reconstruct`), the weight of step s; the weights of a t
            sum to 1, with `truncate` over the steps of its piece. NaN where the decoder says nothing or s was not
            read.

        Raises
        ------
        ValueError
            Unless fitted with `attention`.
        """
        windows = self._fitted(X)
        if self._network.get_config()["decoder"]["attention"] is None:
            raise ValueError("attention_weights needs attention; this one was fitted with attention=None")
        trained = [name for name in self.decoders_ if name in RECURRENT]
        check_choice("decoder", decoder, [*trained, None])
        return self._apply_weights(f"{decoder or trained[0]}_weights", windows, windows.width)

    def forecast(self, X: Any) -> np.ndarray:
        """Continue each window past its end.

        Windows of one length are read from step `horizon` on, so that the encoder reads as many steps as it did in
        training.

        Returns
        -------
        ndarray of shape (n_windows, horizon, n_channels), float32
            In the units of X.

        Raises
        ------
        ValueError
            Unless a "prediction" or "composite" decoder was trained with a `horizon`.
        """
        windows = self._fitted(X)
        if not self._network.ahead:
            raise ValueError(
                f"forecast needs decoder='prediction' or 'composite' and a horizon; this one was fitted with "
                f"decoder={self.decoder!r}, horizon={self.horizon}"
            )
        # An encoder trained on windows of one length is asked about windows of that length.
        function = "forecast" if self.n_timesteps_ is None else "forecast_recent"
        return self.scaler_.inverse_transform(self._apply(function, windows))

    def decode(self, Z: Any, n_timesteps: int | None = None) -> np.ndarray:
        """Turn feature vectors back into windows.

        Parameters
        ----------
        Z : array of shape (n_vectors, n_features)
            As `transform` gives them.
        n_timesteps : int or None, default=None
            Steps of each window; None: as many as the decoder was trained to rebuild.

        Returns
        -------
        ndarray of shape (n_vectors, n_timesteps, n_channels), float32
            In the units of X; with ``scale="window"`` each at mean 0 and standard deviation 1 of its channels'
            training scale, since the features do not hold a window's own.

        Raises
        ------
        ValueError
            Unless a "reconstruction" or "composite" decoder was trained that reads the feature vector alone: with
            ``attention=None`` and ``handover="context"``.
        """
        check_is_fitted(self)
        reads = self._network.get_config()["decoder"]
        if reads["attention"] is not None or reads["handover"] != "context":
            raise ValueError(
                "decode needs attention=None and handover='context', with which all that the decoder reads is the "
                f"feature vector; this one was fitted with attention={reads['attention']!r}, "
                f"handover={reads['handover']!r}"
            )
        if "reconstruction" not in [head.name for head in self._network.heads]:
            raise ValueError(
                f"decode needs decoder='reconstruction' or 'composite'; this one was fitted with {self.decoder!r}"
            )
        Z = np.asarray(Z, np.float32)
        n_features = len(self._network.encoder.feature_names())
        if Z.ndim != 2 or Z.shape[1] != n_features:
            raise ValueError(f"Z has shape {Z.shape}; expected (n_vectors, {n_features}), as transform gives")
        if n_timesteps is None and self.n_timesteps_ is None:
            raise ValueError("n_timesteps=None is not allowed after fitting on windows of different lengths")
        n_timesteps = n_timesteps or self.n_timesteps_ - self._network.ahead
        return self.scaler_.inverse_transform(np.asarray(self._network.decode(Z, n_timesteps)))

    def score_samples(self, X: Any) -> np.ndarray:
        """How well the decoders make out each window.

        Returns
        -------
        ndarray of shape (n_windows,), float32
            Minus the mean squared error over the observed values, in units of the channels' training variance;
            the mean of it over the decoders. Higher is more normal.
        """
        return self._apply("score", self._fitted(X))

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of `score_samples`; higher is better, so that model selection can use it."""
        return float(np.mean(self.score_samples(X)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features: pooling and unit, such as "mean_3"; with several pooled layers "layer1_mean_3".

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str
        """
        check_is_fitted(self)
        return np.asarray(self._network.encoder.feature_names(), dtype=object)

    def _check_shape(self, windows: Windows) -> None:
        super()._check_shape(windows)
        check_memory(self, min(windows.width, self.truncate or windows.width))

    def _fitted(self, X: Any) -> Windows:
        check_is_fitted(self)
        return self._read(X, reset=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
