"""`LSTMSeq2Seq`: sequences in, other sequences out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from tsae.data import tokens
from tsae.data.containers import as_windows
from tsae.data.layout import covered_rows
from tsae.data.scaling import ChannelScaler
from tsae.data.windows import Windows
from tsae.estimators.base import TrainableModel
from tsae.estimators.decoding import check_memory
from tsae.estimators.parameters import TrainingParameters
from tsae.estimators.reading import check_channels, check_names
from tsae.estimators.seq2seq_parameters import Seq2SeqParameters
from tsae.estimators.validation import check_number, draw_seed
from tsae.networks.config import Seq2SeqConfig
from tsae.progress import preparing
from tsae.storable import storable


@storable
@dataclass(eq=False, repr=False, kw_only=True, match_args=False)
class LSTMSeq2Seq(TrainingParameters, Seq2SeqParameters, TrainableModel):
    """LSTM encoder-decoder: learns to turn one sequence into another, of another length and kind.

    Each side is a series of values or a sequence of tokens. Tokens are given as they are (strings, lists of words,
    arrays of integers): their codes, the start of a sequence, its end and the padding are handled inside. The
    encoder's result reaches the decoder as initial states [1]_ or is read at every step [2]_.

    Parameters
    ----------
    units : int or sequence of int, default=128
        Units of each recurrent layer of the encoder, bottom first.
    cell : {"lstm", "gru"}, default="lstm"
        Kind of the recurrent layers.
    bidirectional : bool, default=False
        Each encoder layer reads in both directions.
    scale : {"channel", None}, default="channel"
        Bring each channel of values to mean 0 and standard deviation 1.
    kernel_regularizer, recurrent_regularizer : object
        As in `LSTMAutoencoder`.
    dropout : float, default=0.0
        Share of the values dropped between the encoder's layers and on the context, in training.
    unroll : bool, default=False
        Unroll the recurrent layers instead of a loop over steps; same numbers.
    inputs, outputs : {"auto", "tokens", "values"}, default="auto"
        What X and Y are. "auto": strings and integers are tokens, floating-point numbers are values.
    shared_vocabulary : bool, default=False
        Whether X and Y have one vocabulary instead of one each.
    embedding : int or None, default=None
        Width of the learned token vectors; None: one-hot vectors.
    decoder_options : DecoderOptions or None, default=None
        Units, attention, feedback and more of the decoder. None: those of ``DecoderOptions()``.
    loss : {"mse", "mae", "huber"}, default="mse"
        Error of values; tokens have the cross-entropy.
    optimizer : str or keras.optimizers.Optimizer, default="adam"
        A name that Keras knows, or an optimizer, which is copied and keeps its own learning rate.
    learning_rate : float, default=1e-3
        Highest learning rate of the schedule.
    schedule : {"constant", "cosine"}, default="constant"
        Of the learning rate, as in `LSTMAutoencoder`.
    clipnorm, clipvalue : object
        As in `LSTMAutoencoder`.
    batch_size : int or "auto", default=32
        "auto": a 32nd of the sequences, at least 8 and at most 128.
    epochs : int or "auto", default=50
        "auto": as many as make 600 steps, at least one.
    validation_fraction, patience, warm_start, callbacks, random_state, verbose : object
        As in `LSTMAutoencoder`.

    Attributes
    ----------
    input_vocabulary_, output_vocabulary_ : list or None
        Tokens of X and Y in the order of their codes; None for values.
    has_end_token_ : bool
        Whether the model ends its sequences itself: where Y were tokens of different lengths.
    n_timesteps_out_ : int
        Steps of the longest Y; `predict` outputs at most so many unless asked for more.
    n_channels_out_ : int
        Channels of Y.
    channel_names_in_, channel_names_out_ : list of str
        Names of the channels of X and Y, where the data named them; later X and Y with names must have the same.
    scaler_, target_scaler_ : ChannelScaler
        Mean and scale of each channel of X and Y.
    encoder_ : keras.Model
        The encoder.
    model_ : keras.Model
        The whole network.
    history_ : pandas.DataFrame
        One row per epoch: `epoch`, `loss`, `val_loss` where sequences are held out, and `gradient_norm`, the mean norm
        of the gradients before clipping.

    References
    ----------
    .. [1] Sutskever, Vinyals, Le (2014). Sequence to Sequence Learning with Neural Networks. NeurIPS 2014,
       arXiv:1409.3215
    .. [2] Cho et al. (2014). Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
       Translation. EMNLP 2014, arXiv:1406.1078

    Examples
    --------
    >>> from tsae import LSTMSeq2Seq
    >>> words = ["on", "off", "up", "down"] * 10
    >>> model = LSTMSeq2Seq(units=16, epochs=40, learning_rate=0.02, random_state=0)
    >>> model.fit(words, [word[::-1] for word in words]).predict(["up", "down"])
    ['pu', 'nwod']
    """

    _unchangeable = ("scale", "inputs", "outputs", "shared_vocabulary")

    learning_rate: float = 1e-3
    schedule: str = "constant"
    batch_size: int | str = 32
    epochs: int | str = 50

    # -- fit ---------------------------------------------------------------------------------------------------

    def fit(self, X: Any, Y: Any) -> LSTMSeq2Seq:
        """Train on pairs of sequences.

        Parameters
        ----------
        X, Y : sequences, as many of one as of the other
            Tokens: strings (sequences of characters), lists of words, lists of integers, or an integer array of
            shape (n_sequences, n_timesteps). Values: Windows, an array of shape (n_sequences, n_timesteps) or
            (n_sequences, n_timesteps, n_channels), or a list of arrays of shape (n_timesteps_i, n_channels), with
            NaN where a value is missing. Lengths may vary on either side.

        Returns
        -------
        LSTMSeq2Seq
            The estimator itself.

        Raises
        ------
        ValueError
            For parameters or sequences that are not allowed, before training starts.
        TrainingDivergedError
            When the loss turns NaN or infinite. The estimator keeps its best weights from before and can be used.
        """
        resume = self.warm_start and self.__sklearn_is_fitted__()
        with preparing(self.verbose, self.epochs):
            windows, targets = self._prepare(X, Y, resume=resume)
        if self.output_vocabulary_ is None:
            targets = as_windows(self.target_scaler_.transform(targets.gather()), name="Y")
        self._train(windows, self._epochs(len(windows)), targets=targets, bucketed=resume)
        return self

    def _prepare(self, X: Any, Y: Any, *, resume: bool) -> tuple[Windows, Windows]:
        """Check parameters and sequences; continue with the network as it is, or make a new one."""
        self._check_parameters()
        if not resume:
            self._learn_vocabularies(X, Y)
        windows = self._read_inputs(X, reset=not resume)
        targets = self._read_targets(Y, reset=not resume)
        _check_pairs(windows, targets)
        if resume:
            self._resume(windows)
        else:
            self._start(windows)
        return windows, targets

    def _check_parameters(self) -> None:
        self._check_seq2seq_parameters()
        self._check_training_parameters()

    def _settled(self) -> dict[str, str]:
        return {**super()._settled(), **self._settled_sides()}

    def _learn_vocabularies(self, X: Any, Y: Any) -> None:
        sides = {"inputs": (X, "X"), "outputs": (Y, "Y")}
        found = {}
        for side, (sequences, name) in sides.items():
            kind = getattr(self, side)
            if kind == "tokens" or (kind == "auto" and tokens.are_tokens(sequences)):
                flat, _, form = tokens.split_tokens(sequences, name)
                found[side] = np.unique(flat), form
        if self.shared_vocabulary:
            if len(found) < 2 or found["inputs"][0].dtype.kind != found["outputs"][0].dtype.kind:
                raise ValueError("shared_vocabulary=True is not allowed unless X and Y are both tokens, of one kind")
            shared = np.union1d(found["inputs"][0], found["outputs"][0])
            found = {side: (shared, form) for side, (_, form) in found.items()}
        self.input_vocabulary_: Any = found["inputs"][0].tolist() if "inputs" in found else None
        self.output_vocabulary_: Any = found["outputs"][0].tolist() if "outputs" in found else None
        self.output_form_: Any = found["outputs"][1] if "outputs" in found else None

    def _read_inputs(self, X: Any, *, reset: bool) -> Windows:
        if self.input_vocabulary_ is not None:
            flat, lengths, _ = tokens.split_tokens(X, "X")
            return self._read(tokens.encode(flat, lengths, self.input_vocabulary_, "X"), reset=reset)
        if self.inputs != "values" and tokens.are_tokens(X):
            raise ValueError("X holds tokens, but LSTMSeq2Seq was fitted with values; convert X to floating point")
        windows = self._read(as_windows(X), reset=reset)
        if hasattr(X, "columns"):  # its names of steps
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)
        return windows

    def _read_targets(self, Y: Any, *, reset: bool) -> Windows:
        if self.output_vocabulary_ is None:
            targets = as_windows(Y, name="Y")
        else:
            flat, lengths, _ = tokens.split_tokens(Y, "Y")
            targets = tokens.encode(flat, lengths, self.output_vocabulary_, "Y")
        if reset:
            self._learn_targets(targets)
            return targets
        check_names(targets, self.__dict__.get("channel_names_out_"), "Y", type(self).__name__)
        if targets.n_channels != self.n_channels_out_:
            raise ValueError(
                f"Y has {targets.n_channels} channels, but LSTMSeq2Seq was fitted with {self.n_channels_out_}"
            )
        if targets.is_ragged and self.output_vocabulary_ is not None and not self.has_end_token_:
            raise ValueError(
                f"Y has sequences of different lengths, but in the first fit all had {self.n_timesteps_out_} steps, so "
                "that no end token was learned"
            )
        return targets

    def _learn_targets(self, targets: Windows) -> None:
        self.n_channels_out_ = targets.n_channels
        self.__dict__.pop("channel_names_out_", None)
        if targets.has_names:
            self.channel_names_out_ = list(targets.channel_names)
        self.n_timesteps_out_ = targets.width
        self.has_end_token_ = bool(self.output_vocabulary_ is not None and targets.is_ragged)
        self.target_scaler_ = ChannelScaler.identity(targets.n_channels)
        if self.output_vocabulary_ is None and self.scale is not None:
            used = covered_rows(targets.starts, targets.lengths, len(targets.values))
            self.target_scaler_ = ChannelScaler().fit(targets.values, used)

    def _check_shape(self, windows: Windows) -> None:
        """Any length can be read, except by attention to positions."""
        check_channels(windows, self)
        check_memory(self._network.config.decoder, windows.width)

    def _fitted_scaler(self, windows: Windows) -> ChannelScaler:
        if self.input_vocabulary_ is not None:
            return ChannelScaler.identity(1)
        return super()._fitted_scaler(windows)

    def _network_config(self, seed: int, windows: Windows) -> Seq2SeqConfig:
        n = len(windows)
        n_inputs = windows.n_channels if self.input_vocabulary_ is None else len(self.input_vocabulary_)
        n_outputs = self.n_channels_out_ if self.output_vocabulary_ is None else len(self.output_vocabulary_)
        width = n_inputs if self.input_vocabulary_ is None else self.embedding or n_inputs
        return Seq2SeqConfig(
            encoder=self._encoder_config(seed, width),
            decoder=self._decoder_config(windows.width, self._epochs(n), -(-n // self._batch_size(n))),
            n_inputs=n_inputs,
            n_outputs=n_outputs,
            input_tokens=self.input_vocabulary_ is not None,
            output_tokens=self.output_vocabulary_ is not None,
            has_end_token=self.has_end_token_,
            embedding=self.embedding,
            loss=self.loss,
            dropout=self.dropout,
            seed=seed + 1,
        )

    # -- use ---------------------------------------------------------------------------------------------------

    def predict(self, X: Any, *, n_timesteps: int | None = None, beam_width: int = 1) -> Any:
        """Predict the sequence that follows from each X, each step reading the output of the one before.

        Parameters
        ----------
        X : sequences
            As in `fit`.
        n_timesteps : int or None, default=None
            Steps to predict; of tokens with an end token, the most. None: those of the longest Y in `fit`.
        beam_width : int, default=1
            Of tokens: 1 takes the most probable at each step; more keep so many prefixes and give the most probable
            sequence found (beam search).

        Returns
        -------
        ndarray of shape (n_sequences, n_timesteps, n_channels), float32
            Of values, in the units of Y. Of tokens a list in the form that Y had: strings, lists of words or arrays
            of integers; an array of shape (n_sequences, n_timesteps) for integers without an end token.
        """
        windows, n_steps = self._inputs_and_steps(X, n_timesteps)
        check_number("beam_width", beam_width, 1, integer=True)
        if self.output_vocabulary_ is None:
            if beam_width > 1:
                raise ValueError(f"beam_width={beam_width} is not allowed with values; beams are for tokens")
            return self.target_scaler_.inverse_transform(self._apply("values", windows, n_steps=n_steps))
        if beam_width == 1:
            return self._as_tokens(self._apply("greedy", windows, n_steps=n_steps))
        return self._as_tokens(self._apply("beam", windows, n_steps=n_steps, width=beam_width)["codes"])

    def sample(
        self, X: Any, *, temperature: float = 1.0, n_timesteps: int | None = None, random_state: Any = None
    ) -> Any:
        """Sample a sequence of tokens for each X from the model's probabilities.

        Parameters
        ----------
        X : sequences
            As in `fit`.
        temperature : float, default=1.0
            Below 1 probable tokens become more probable, above 1 less so.
        n_timesteps : int or None, default=None
            As in `predict`.
        random_state : int, RandomState, Generator or None, default=None
            An integer makes the samples repeatable.

        Returns
        -------
        list or ndarray
            As from `predict`.
        """
        check_number("temperature", temperature, 0, open_low=True)
        windows, n_steps = self._inputs_and_steps(X, n_timesteps)
        if self.output_vocabulary_ is None:
            raise ValueError("sample draws tokens; this one was fitted with values")
        seed = draw_seed(random_state)
        codes = np.empty((len(windows), n_steps), np.int32)
        for number, (positions, values) in enumerate(self._chunks(windows)):
            scaled = self.scaler_.transform(values)
            codes[positions] = self._network.sample(scaled, True, n_steps, float(temperature), (seed, number))
        return self._as_tokens(codes)

    def attention_weights(self, X: Any, *, n_timesteps: int | None = None) -> np.ndarray:
        """Weights of the decoder's attention at each step of its output.

        Parameters
        ----------
        X : sequences
            As in `fit`.
        n_timesteps : int or None, default=None
            As in `predict`.

        Returns
        -------
        ndarray of shape (n_sequences, n_timesteps_out, n_timesteps), float32
            ``[i, t, s]``: for output step t of sequence i, the weight of its step s; the weights of each t sum to 1.
            NaN past the end of a shorter X. With an end token there is one more step, where it may come.

        Raises
        ------
        ValueError
            Unless fitted with attention (`decoder_options`).
        """
        windows, n_steps = self._inputs_and_steps(X, n_timesteps)
        if self._network.config.decoder.attention is None:
            raise ValueError("attention_weights needs attention; this one was fitted with attention=None")
        return self._apply_attention("attention", windows, n_steps, n_steps=n_steps)

    def score(self, X: Any, Y: Any) -> float:
        """How well `predict` does; higher is better.

        Parameters
        ----------
        X, Y : sequences, as many of one as of the other
            As in `fit`.

        Returns
        -------
        float
            Of tokens, the share of the sequences that are right in full. Of values, the coefficient of
            determination R² over all observed values.
        """
        windows, n_steps = self._inputs_and_steps(X, None)
        targets = self._read_targets(Y, reset=False)
        _check_pairs(windows, targets)
        truth = targets.gather()
        if self.output_vocabulary_ is not None:
            codes = self._apply("greedy", windows, n_steps=max(n_steps, truth.shape[1]))
            expected = np.full(codes.shape, -1)
            expected[:, : truth.shape[1]] = np.where(np.isnan(truth[..., 0]), -1, truth[..., 0])
            return float(np.mean(np.all(codes == expected, axis=1)))
        predicted = self.target_scaler_.inverse_transform(self._apply("values", windows, n_steps=truth.shape[1]))
        residual = np.nansum(np.square(truth - predicted))
        return float(1 - residual / np.nansum(np.square(truth - np.nanmean(truth, axis=(0, 1)))))

    def _channels_read(self) -> int:
        return 1 if self.input_vocabulary_ is not None else super()._channels_read()

    def _check_restored(self) -> None:
        super()._check_restored()
        if not self.__sklearn_is_fitted__():
            return
        config: Seq2SeqConfig = self._network.config
        sides = (
            ("input", self.input_vocabulary_, config.n_inputs if config.input_tokens else None),
            ("output", self.output_vocabulary_, config.n_outputs if config.output_tokens else None),
        )
        for side, vocabulary, n_known in sides:
            if n_known != (None if vocabulary is None else len(vocabulary)):
                raise ValueError(f"{side}_vocabulary_ does not have the {n_known} tokens of the network")
        n_out = 1 if self.output_vocabulary_ is not None else config.n_outputs
        if self.n_channels_out_ != n_out or self.target_scaler_.mean_.shape != (n_out,):
            raise ValueError(f"target_scaler_ is not that of {n_out} channels")
        if self.has_end_token_ is not config.has_end_token or type(self.n_timesteps_out_) is not int:
            raise ValueError("has_end_token_ and n_timesteps_out_ are not those of the network")

    def _inputs_and_steps(self, X: Any, n_timesteps: int | None) -> tuple[Windows, int]:
        """X as windows, and the number of output steps."""
        check_is_fitted(self)
        check_number("n_timesteps", n_timesteps, 1, integer=True, none=True)
        return self._read_inputs(X, reset=False), (n_timesteps or self.n_timesteps_out_) + self.has_end_token_

    def _as_tokens(self, codes: np.ndarray) -> Any:
        as_array = self.output_form_ == tokens.INTEGERS and not self.has_end_token_
        codes = codes[:, : codes.shape[1] - self.has_end_token_]  # the last step was for an end token
        return tokens.decode(codes, self.output_vocabulary_, self.output_form_, as_array)


def _check_pairs(windows: Windows, targets: Windows) -> None:
    if len(targets) != len(windows):
        raise ValueError(f"X has {len(windows)} sequences, but Y has {len(targets)}")
