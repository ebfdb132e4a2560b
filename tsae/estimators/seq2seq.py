"""`LSTMSeq2Seq`: sequences in, other sequences out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from tsae.data import tokens as _symbols
from tsae.data.containers import as_windows
from tsae.data.scaling import ChannelScaler, covered_rows
from tsae.data.windows import Windows
from tsae.estimators.base import SequenceEstimator
from tsae.estimators.decoding import check_decoding, check_memory, decoder_config, sampling_config
from tsae.estimators.validation import as_layers, check_choice, check_number, draw_seed
from tsae.io.storable import storable


@storable
class LSTMSeq2Seq(SequenceEstimator):
    """LSTM encoder-decoder: learns to turn one sequence into another, of other length and kind.

    Each side is a series of values or a sequence of symbols. Symbols are given as they are (strings, lists of words,
    arrays of integers): the codes that stand for them, the start, the stop and the padding are dealt with inside.

    Parameters
    ----------
    units : int or sequence of int, default=128
        Units of each recurrent layer of the encoder, bottom first.
    decoder_units : int, sequence of int or None, default=None
        Units of the decoder's layers, bottom first. None: those of the encoder, twice as many where it is
        bidirectional.
    inputs, outputs : {"auto", "symbols", "values"}, default="auto"
        What X and Y are. "auto": strings and whole numbers are symbols, floating-point numbers are values.
    shared_symbols : bool, default=False
        Whether X and Y have one set of symbols instead of one each.
    embedding : int or None, default=None
        Width of the vectors that are learnt for symbols; None: one-hot vectors.
    cell : {"lstm", "gru"}, default="lstm"
    bidirectional : bool, default=False
        Each encoder layer reads in both directions.
    handover : {"context", "state", "both"}, default="state"
        "state": the decoder's layers begin with the encoder's final states [1]_, through a dense layer where widths
        differ. "context": they read the final hidden state at every step [2]_.
    conditioning : {None, "teacher", "scheduled"}, default="teacher"
        Whether the decoder reads its own last output, and what it reads in its place while training: "teacher", the
        truth; "scheduled", the truth less and less often [3]_. In use it reads its own output.
    sampling : {"linear", "exponential", "inverse_sigmoid"}, default="linear"
        For "scheduled": how the probability of the truth falls from 1 with the updates [3]_ (section 2.4).
    sampling_epochs : float or None, default=None
        Epochs over which it falls: to 0 ("linear"), or to 1 % of the way. None: half of `epochs`. 0: the truth is
        never read.
    sampling_floor : float, default=0.0
        Probability of the truth that it falls to.
    attention : {None, "dot", "general", "concat", "location", "additive"}, default=None
        Let the decoder look at the encoder's state of each step: global attention [4]_ (section 3.1), or additive
        attention [5]_.
    input_feeding : bool, default=False
        With attention of [4]_: the decoder also reads what it attended to in the step before (section 3.3).
    scale : {"channel", None}, default="channel"
        Bring each channel of values to mean 0 and standard deviation 1.
    loss : {"mse", "mae", "huber"}, default="mse"
        Of values; symbols have the cross-entropy.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name of Keras's, or an optimizer, which is copied and keeps its own learning rate.
    learning_rate : float, default=1e-3
    schedule : {"constant", "cosine"}, default="constant"
        Of the learning rate, as in `LSTMAutoencoder`.
    clipnorm : float or None, default=1.0
        Limit on the norm of each weight array's gradient.
    clipvalue : float or None, default=None
        Limit on each value of the gradients.
    kernel_l1, kernel_l2, recurrent_l1, recurrent_l2 : float, default=0.0
        Penalties on the weights of the recurrent layers.
    dropout : float, default=0.0
        Share of the values dropped between the encoder's layers and on the context, in training.
    batch_size : int or "auto", default=32
        "auto": a 32nd of the sequences, at least 8 and at most 128.
    epochs : int or "auto", default=50
        "auto": as many as make 600 steps, at least one.
    validation_fraction, patience, warm_start, callbacks, gradient_norm, unroll, random_state, verbose
        As in `LSTMAutoencoder`.

    Attributes
    ----------
    input_symbols_, output_symbols_ : list or None
        Symbols of X and Y in the order of their codes; None for values.
    stops_ : bool
        Whether the model ends its sequences itself: where Y were symbols of different lengths.
    n_timesteps_out_ : int
        Steps of the longest Y; what `predict` says at most unless told otherwise.
    scaler_, target_scaler_ : ChannelScaler
    encoder_, model_ : keras.Model
    history_ : pandas.DataFrame
        One row an epoch: `epoch`, `loss`, and `val_loss`, `gradient_norm` where asked for.

    References
    ----------
    .. [1] Sutskever, Vinyals, Le (2014). Sequence to Sequence Learning with Neural Networks. NeurIPS 2014,
       arXiv:1409.3215
    .. [2] Cho et al. (2014). Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
       Translation. EMNLP 2014, arXiv:1406.1078
    .. [3] Bengio, Vinyals, Jaitly, Shazeer (2015). Scheduled Sampling for Sequence Prediction with Recurrent Neural
       Networks. NeurIPS 2015, arXiv:1506.03099
    .. [4] Luong, Pham, Manning (2015). Effective Approaches to Attention-based Neural Machine Translation. EMNLP 2015,
       arXiv:1508.04025
    .. [5] Bahdanau, Cho, Bengio (2015). Neural Machine Translation by Jointly Learning to Align and Translate. ICLR
       2015, arXiv:1409.0473

    Examples
    --------
    >>> from tsae import LSTMSeq2Seq
    >>> words = ["on", "off", "up", "down"] * 10
    >>> model = LSTMSeq2Seq(units=16, epochs=40, learning_rate=0.02, random_state=0)
    >>> model.fit(words, [word[::-1] for word in words]).predict(["up", "down"])
    ['pu', 'nwod']
    """

    # One layer reads step by step, and hands over its last state.
    dilations = 1
    pooling = "last"
    pooled_layers = "last"

    def __init__(
        self,
        units: int | Sequence[int] = 128,
        *,
        decoder_units: int | Sequence[int] | None = None,
        inputs: str = "auto",
        outputs: str = "auto",
        shared_symbols: bool = False,
        embedding: int | None = None,
        cell: str = "lstm",
        bidirectional: bool = False,
        handover: str = "state",
        conditioning: str | None = "teacher",
        sampling: str = "linear",
        sampling_epochs: float | None = None,
        sampling_floor: float = 0.0,
        attention: str | None = None,
        input_feeding: bool = False,
        scale: str | None = "channel",
        loss: str = "mse",
        optimizer: Any = "adam",
        learning_rate: float = 1e-3,
        schedule: str = "constant",
        clipnorm: float | None = 1.0,
        clipvalue: float | None = None,
        kernel_l1: float = 0.0,
        kernel_l2: float = 0.0,
        recurrent_l1: float = 0.0,
        recurrent_l2: float = 0.0,
        dropout: float = 0.0,
        batch_size: int | str = 32,
        epochs: int | str = 50,
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
        self.decoder_units = decoder_units
        self.inputs = inputs
        self.outputs = outputs
        self.shared_symbols = shared_symbols
        self.embedding = embedding
        self.cell = cell
        self.bidirectional = bidirectional
        self.handover = handover
        self.conditioning = conditioning
        self.sampling = sampling
        self.sampling_epochs = sampling_epochs
        self.sampling_floor = sampling_floor
        self.attention = attention
        self.input_feeding = input_feeding
        self.scale = scale
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

    def fit(self, X: Any, Y: Any) -> LSTMSeq2Seq:
        """Train on pairs of sequences.

        Parameters
        ----------
        X, Y : sequences, as many of one as of the other
            Symbols: strings (sequences of characters), lists of words, lists of integers, or an integer array of
            shape (n_sequences, n_timesteps). Values: Windows, an array of shape (n_sequences, n_timesteps) or
            (n_sequences, n_timesteps, n_channels), or a list of arrays of shape (n_timesteps_i, n_channels), with
            NaN where a value is missing. Lengths may vary on either side.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For arguments or sequences that are not allowed, before training starts.
        TrainingDivergedError
            When the loss turns NaN or infinite. The estimator keeps its best weights from before and can be used.
        """
        self._check_parameters()
        going_on = self.warm_start and self.__sklearn_is_fitted__()
        if not going_on:
            self._learn_symbols(X, Y)
        windows = self._read_inputs(X, reset=not going_on)
        targets = self._read_targets(Y, reset=not going_on)
        if len(targets) != len(windows):
            raise ValueError(f"X has {len(windows)} sequences, but Y has {len(targets)}")
        if going_on:
            self._resume(windows)
        else:
            self._start(windows)
        if self.output_symbols_ is None:
            targets = as_windows(self.target_scaler_.transform(targets.gather()), name="Y")
        self._train(windows, self._epochs(len(windows)), targets=targets)
        return self

    def _check_parameters(self) -> None:
        self._check_encoder_parameters()
        width = as_layers("units", self.units)[-1] * (2 if self.bidirectional else 1)
        check_decoding(self, width, self._decoder_units())
        for name in ("inputs", "outputs"):
            check_choice(name, getattr(self, name), ["auto", "symbols", "values"])
        for name in ("shared_symbols", "warm_start"):
            check_choice(name, getattr(self, name), [True, False])
        check_number("embedding", self.embedding, 1, integer=True, none=True)
        check_choice("loss", self.loss, ["mse", "mae", "huber"])
        check_choice("scale", self.scale, ["channel", None])
        self._check_training_parameters()

    def _decoder_units(self) -> list[int]:
        if self.decoder_units is not None:
            return as_layers("decoder_units", self.decoder_units)
        return [units * (2 if self.bidirectional else 1) for units in as_layers("units", self.units)]

    def _learn_symbols(self, X: Any, Y: Any) -> None:
        sides = {"inputs": (X, "X"), "outputs": (Y, "Y")}
        found = {}
        for side, (sequences, name) in sides.items():
            kind = getattr(self, side)
            if kind == "symbols" or (kind == "auto" and _symbols.are_symbols(sequences)):
                flat, _, form = _symbols.lay_out(sequences, name)
                found[side] = np.unique(flat), form
        if self.shared_symbols:
            if len(found) < 2 or found["inputs"][0].dtype.kind != found["outputs"][0].dtype.kind:
                raise ValueError("shared_symbols=True is not allowed unless X and Y are both symbols, of one kind")
            shared = np.union1d(found["inputs"][0], found["outputs"][0])
            found = {side: (shared, form) for side, (_, form) in found.items()}
        self.input_symbols_: Any = found["inputs"][0].tolist() if "inputs" in found else None
        self.output_symbols_: Any = found["outputs"][0].tolist() if "outputs" in found else None
        self.output_form_: Any = found["outputs"][1] if "outputs" in found else None

    def _read_inputs(self, X: Any, *, reset: bool) -> Windows:
        if self.input_symbols_ is not None:
            flat, lengths, _ = _symbols.lay_out(X, "X")
            X = _symbols.encode(flat, lengths, self.input_symbols_, "X")
        elif self.inputs == "values" or not _symbols.are_symbols(X):
            X = as_windows(X)
        else:
            raise ValueError("X holds symbols, but LSTMSeq2Seq was fitted with values; convert X to floating point")
        return self._read(X, reset=reset)

    def _read_targets(self, Y: Any, *, reset: bool) -> Windows:
        if self.output_symbols_ is None:
            targets = as_windows(Y, name="Y")
        else:
            flat, lengths, _ = _symbols.lay_out(Y, "Y")
            targets = _symbols.encode(flat, lengths, self.output_symbols_, "Y")
        if reset:
            self.n_channels_out_ = targets.n_channels
            self.n_timesteps_out_ = targets.width
            self.stops_ = bool(self.output_symbols_ is not None and targets.is_ragged)
            self.target_scaler_ = ChannelScaler.identity(targets.n_channels)
            if self.output_symbols_ is None and self.scale is not None:
                used = covered_rows(targets.starts, targets.lengths, len(targets.values))
                self.target_scaler_ = ChannelScaler().fit(targets.values, used)
        elif targets.n_channels != self.n_channels_out_:
            raise ValueError(
                f"Y has {targets.n_channels} channels, but LSTMSeq2Seq was fitted with {self.n_channels_out_}"
            )
        elif targets.is_ragged and self.output_symbols_ is not None and not self.stops_:
            raise ValueError(
                f"Y has sequences of different lengths, but in the first fit all had {self.n_timesteps_out_} steps, so "
                "that no stop was learnt"
            )
        return targets

    def _check_shape(self, windows: Windows) -> None:
        """Any length can be read, except by attention to places."""
        if windows.n_channels != self.n_channels_:
            raise ValueError(f"X has {windows.n_channels} channels, but LSTMSeq2Seq was fitted with {self.n_channels_}")
        check_memory(self, windows.width)

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        if self.input_symbols_ is not None:
            return ChannelScaler.identity(1)
        return super()._fitted_scaler(windows)

    def _network_config(self, seed: int, windows: Windows) -> dict:
        n = len(windows)
        n_inputs = self.n_channels_ if self.input_symbols_ is None else len(self.input_symbols_)
        n_outputs = self.n_channels_out_ if self.output_symbols_ is None else len(self.output_symbols_)
        width = n_inputs if self.input_symbols_ is None else self.embedding or n_inputs
        return {
            "encoder": self._encoder_config(seed, width), "decoder": decoder_config(self, windows.width),
            "decoder_units": self._decoder_units(), "n_inputs": n_inputs, "n_outputs": n_outputs,
            "input_symbols": self.input_symbols_ is not None, "output_symbols": self.output_symbols_ is not None,
            "stops": self.stops_, "embedding": self.embedding, "conditioning": self.conditioning,
            "sampling": sampling_config(self, self._epochs(n), -(-n // self._batch_size(n))), "loss": self.loss,
            "dropout": self.dropout, "seed": seed + 1, "name": "seq2seq",
        }  # fmt: skip

    # -- use ---------------------------------------------------------------------------------------------------

    def _functions(self) -> dict:
        network = self._network
        return {
            "values": lambda x, masked, n_steps: network.say(x, masked, n_steps).values,
            "greedy": network.greedy, "beam": network.beam, "weights": network.look,
        }  # fmt: skip

    @property
    def encoder_(self) -> Any:
        check_is_fitted(self)
        return self._network.encoder

    @property
    def model_(self) -> Any:
        check_is_fitted(self)
        return self._network

    def predict(self, X: Any, *, n_timesteps: int | None = None, beam_width: int = 1) -> Any:
        """Say the sequence that follows from each X, each step reading the one before.

        Parameters
        ----------
        X : as in `fit`
        n_timesteps : int or None, default=None
            Steps to say; of symbols that stop, the most. None: those of the longest Y in `fit`.
        beam_width : int, default=1
            Of symbols: 1 says the likeliest at each step; more keep so many prefixes and say the likeliest sequence
            found (beam search).

        Returns
        -------
        ndarray of shape (n_sequences, n_timesteps, n_channels), float32
            Of values, in the units of Y.
        list
            Of symbols, in the form that Y had: strings, lists of words or arrays of integers; an array of shape
            (n_sequences, n_timesteps) for integers that do not stop.
        """
        windows, n_steps = self._asked(X, n_timesteps)
        check_number("beam_width", beam_width, 1, integer=True)
        if self.output_symbols_ is None:
            if beam_width > 1:
                raise ValueError(f"beam_width={beam_width} is not allowed with values; beams are for symbols")
            return self.target_scaler_.inverse_transform(self._apply("values", windows, n_steps=n_steps))
        if beam_width == 1:
            return self._as_symbols(self._apply("greedy", windows, n_steps=n_steps))
        return self._as_symbols(self._apply("beam", windows, n_steps=n_steps, width=beam_width)["codes"])

    def sample(
        self, X: Any, *, temperature: float = 1.0, n_timesteps: int | None = None, random_state: Any = None
    ) -> Any:
        """Draw a sequence of symbols for each X from the model's probabilities.

        Parameters
        ----------
        X : as in `fit`
        temperature : float, default=1.0
            Below 1 the likely becomes likelier, above 1 less so.
        n_timesteps : int or None, default=None
            As in `predict`.
        random_state : int, RandomState, Generator or None, default=None

        Returns
        -------
        list or ndarray
            As from `predict`.
        """
        import tensorflow as tf

        check_number("temperature", temperature, 0, open_low=True)
        windows, n_steps = self._asked(X, n_timesteps)
        if self.output_symbols_ is None:
            raise ValueError("sample draws symbols; this one was fitted with values")
        seed = draw_seed(random_state)
        codes = np.empty((len(windows), n_steps), np.int32)
        for part, (positions, values) in enumerate(self._chunks(windows)):
            part_seed = tf.constant([seed, part])
            scaled = tf.constant(self.scaler_.transform(values))
            codes[positions] = self._network.draw(scaled, True, n_steps, float(temperature), part_seed)
        return self._as_symbols(codes)

    def attention_weights(self, X: Any, *, n_timesteps: int | None = None) -> np.ndarray:
        """Where the decoder looks at each step that it says.

        Returns
        -------
        ndarray of shape (n_sequences, n_timesteps_out, n_timesteps), float32
            ``[i, t, s]``: as step t is said of sequence i, the weight of its step s; the weights of a t sum to 1.
            NaN past the end of a shorter X. Of symbols, there is one more step where a stop may be said.

        Raises
        ------
        ValueError
            Unless fitted with `attention`.
        """
        windows, n_steps = self._asked(X, n_timesteps)
        if self._network.get_config()["decoder"]["attention"] is None:
            raise ValueError("attention_weights needs attention; this one was fitted with attention=None")
        return self._apply_weights("weights", windows, n_steps, n_steps=n_steps)

    def score(self, X: Any, Y: Any) -> float:
        """How well `predict` does; higher is better.

        Returns
        -------
        float
            Of symbols, the share of the sequences that are right in full. Of values, the coefficient of
            determination R² over all observed values.
        """
        windows, n_steps = self._asked(X, None)
        targets = self._read_targets(Y, reset=False)
        if len(targets) != len(windows):
            raise ValueError(f"X has {len(windows)} sequences, but Y has {len(targets)}")
        truth = targets.gather()
        if self.output_symbols_ is not None:
            codes = self._apply("greedy", windows, n_steps=max(n_steps, truth.shape[1]))
            expected = np.full(codes.shape, -1)
            expected[:, : truth.shape[1]] = np.where(np.isnan(truth[..., 0]), -1, truth[..., 0])
            return float(np.mean(np.all(codes == expected, axis=1)))
        said = self.target_scaler_.inverse_transform(self._apply("values", windows, n_steps=truth.shape[1]))
        left = np.nansum(np.square(truth - said))
        return float(1 - left / np.nansum(np.square(truth - np.nanmean(truth, axis=(0, 1)))))

    def _channels_read(self) -> int:
        return 1 if self.input_symbols_ is not None else super()._channels_read()

    def _check_restored(self) -> None:
        super()._check_restored()
        if not self.__sklearn_is_fitted__():
            return
        config = self._network.get_config()
        for side, symbols in (("input", self.input_symbols_), ("output", self.output_symbols_)):
            n_known = config[f"n_{side}s"] if config[f"{side}_symbols"] else None
            if n_known != (None if symbols is None else len(symbols)):
                raise ValueError(f"{side}_symbols_ are not the {n_known} that the network knows")
        n_out = 1 if self.output_symbols_ is not None else config["n_outputs"]
        if self.n_channels_out_ != n_out or self.target_scaler_.mean_.shape != (n_out,):
            raise ValueError(f"target_scaler_ is not that of {n_out} channels")
        if self.stops_ is not config["stops"] or type(self.n_timesteps_out_) is not int:
            raise ValueError("stops_ and n_timesteps_out_ are not those of the network")

    def _asked(self, X: Any, n_timesteps: int | None) -> tuple[Windows, int]:
        """X as windows, and the number of steps to say."""
        check_is_fitted(self)
        check_number("n_timesteps", n_timesteps, 1, integer=True, none=True)
        return self._read_inputs(X, reset=False), (n_timesteps or self.n_timesteps_out_) + self.stops_

    def _as_symbols(self, codes: np.ndarray) -> Any:
        as_array = self.output_form_ == _symbols.INTEGERS and not self.stops_
        codes = codes[:, : codes.shape[1] - self.stops_]  # the last step was for a stop
        return _symbols.decode(codes, self.output_symbols_, self.output_form_, as_array)
