"""The network of sequence-to-sequence models: an encoder, a decoder, and symbols on either side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.decoders import NO_FEEDBACK, Decoded, Encoded, TeacherForcing, RecurrentDecoder, teacher_forcing_rate
from tsae.networks.random_state import StepRandomState
from tsae.networks.encoder import Encoder, EncoderInputs, weight_seeds
from tsae.networks.loops import run_steps
from tsae.networks.losses import LOSSES
from tsae.networks.masking import fill_gaps, row_lengths, step_mask


class SymbolVectors(keras.layers.Layer):
    """Codes of symbols as vectors: one-hot, or rows of a table that is learnt.

    Parameters
    ----------
    n_symbols : int
    embedding : int or None
        Width of the table; None: one-hot.
    seeds : iterator of int
        Seeds for the initial weights.
    """

    def __init__(self, n_symbols, embedding, seeds, name=None):
        super().__init__(name=name)
        self.n_symbols, self.width = n_symbols, embedding or n_symbols
        self.table = None
        if embedding:
            uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds))
            self.table = self.add_weight(shape=(n_symbols, embedding), initializer=uniform, name="table")
        self.built = True

    def call(self, codes):
        """(batch, n_timesteps) or (batch,) int32 -> the same with an axis of `width` at the end."""
        return tf.one_hot(codes, self.n_symbols) if self.table is None else tf.gather(self.table.value, codes)


@keras.saving.register_keras_serializable(package="tsae")
class Seq2Seq(keras.Model):
    """An `Encoder` of one sequence and a `RecurrentDecoder` of another.

    Parameters
    ----------
    encoder : dict
        Arguments of `Encoder`; its channels are those read, or the width of the vectors of symbols.
    decoder : dict
        bridge, attention, input_feeding, n_memory_steps: arguments of `RecurrentDecoder`.
    decoder_units : list of int
    n_inputs, n_outputs : int
        Symbols, or channels, of the sequences read and said.
    input_symbols, output_symbols : bool
        Whether these are symbols.
    stops : bool
        Whether a further output symbol, of code `n_outputs`, ends what is said.
    embedding : int or None
        Width of learnt vectors for symbols; None: one-hot.
    feedback : None, "teacher_forcing" or "scheduled_sampling"
    sampling : dict or None
        The schedule that `teacher_forcing_rate` reads.
    loss : "mse", "mae" or "huber"
        Of channels; symbols have the cross-entropy.
    dropout : float
        On the context, in training.
    seed : int
        Of the initial weights.

    Notes
    -----
    Sequences are (batch, n_timesteps, n_channels) float, NaN where missing; symbols are one channel of codes,
    NaN past the end. The decoder is first fed zeros, which stand for the start.
    """

    def __init__(
        self, encoder, decoder, decoder_units, n_inputs, n_outputs, input_symbols=False, output_symbols=False,
        stops=False, embedding=None, feedback="teacher_forcing", sampling=None, loss="mse", dropout=0.0, seed=0,
        name="seq2seq", **kwargs,
    ):  # fmt: skip
        super().__init__(name=name, **kwargs)
        self._settings = json.dumps({  # as text, since Keras would wrap lists and dicts
            "encoder": encoder, "decoder": decoder, "decoder_units": list(decoder_units), "n_inputs": n_inputs,
            "n_outputs": n_outputs, "input_symbols": input_symbols, "output_symbols": output_symbols, "stops": stops,
            "embedding": embedding, "feedback": feedback, "sampling": sampling, "loss": loss,
            "dropout": dropout, "seed": seed,
        })  # fmt: skip
        seeds = weight_seeds(seed)
        self.stops, self.stop = stops, n_outputs
        n_outputs += stops
        self.read_symbols: Any = SymbolVectors(n_inputs, embedding, seeds, name="read") if input_symbols else None
        fed = embedding if feedback else None  # what is not read back needs no table
        self.said_symbols: Any = SymbolVectors(n_outputs, fed, seeds, name="said") if output_symbols else None
        self.encoder = Encoder(**encoder)
        feedback_width = embedding if output_symbols and embedding else n_outputs
        self.decoder = RecurrentDecoder(
            self.encoder, n_outputs, decoder_units, seeds, feedback_width=feedback_width if feedback else 0, name="decoder",
            **decoder,
        )  # fmt: skip
        self.feedback, self.sampling = feedback, sampling
        self.error, self.dropout = LOSSES[loss], dropout
        self.has_recurrent_decoders = True
        self.built = True

    def get_config(self):
        return {**json.loads(self._settings), "name": self.name}

    # -- training ----------------------------------------------------------------------------------------------

    def prepare(self, x, weights, masked: bool, rng: StepRandomState, y) -> dict:
        """Sequences, their weights and their targets -> what `batch_loss` reads. Weights sum to 1 over the batch."""
        values, lengths = self._readable(x, masked)
        batch = {"values": values}
        if lengths is not None:
            batch["lengths"] = lengths
        observed = tf.math.is_finite(y)
        if self.said_symbols is None:
            batch["targets"] = fill_gaps(y, observed)
            counted = tf.cast(observed, tf.float32) * weights[:, None, None]
        else:
            batch["targets"], said = self._codes(y, observed)
            counted = tf.cast(said, tf.float32) * weights[:, None]
        batch["weights"] = tf.math.divide_no_nan(counted, tf.reduce_sum(counted))
        if self.feedback == "scheduled_sampling":
            batch["teacher_forcing_rate"] = tf.fill(tf.shape(weights), teacher_forcing_rate(self.sampling, rng.step))
        return batch

    def _codes(self, y, observed):
        """Codes of the target with the stop after them, and which of them count."""
        lengths = row_lengths(observed)[:, None]
        codes = tf.cast(tf.where(observed, y, 0.0)[..., 0], tf.int32)
        if not self.stops:
            return codes, tf.range(y.shape[1])[None] < lengths
        steps = tf.range(y.shape[1] + 1)[None]
        return tf.where(steps == lengths, self.stop, tf.pad(codes, [[0, 0], [0, 1]])), steps <= lengths

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of errors of (a part of) a batch.

        Without rng, that is in validation, a decoder trained by scheduled sampling is fed its own outputs.
        """
        encoded = self._encode(batch["values"], batch.get("lengths"), rng)
        truth = batch["targets"]
        forcing = NO_FEEDBACK
        if self.feedback == "teacher_forcing" or (self.feedback == "scheduled_sampling" and rng is not None):
            fed = truth if self.said_symbols is None else self.said_symbols(truth)
            forcing = TeacherForcing(fed, batch.get("teacher_forcing_rate"), rng)
        said = self.decoder.unfold(encoded, truth.shape[1], forcing, self._feed).values
        if self.said_symbols is None:
            return tf.reduce_sum(batch["weights"] * self.error(truth - said))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=truth, logits=said)
        return tf.reduce_sum(batch["weights"] * losses)

    def _readable(self, x, masked):
        """What the encoder reads, symbols still as codes, and the lengths of its rows (None: all steps)."""
        if self.read_symbols is None:
            inputs = self.encoder.read(x, masked)
            return inputs.values, inputs.lengths
        observed = tf.math.is_finite(x)
        codes = tf.cast(tf.where(observed, x, 0.0)[..., 0], tf.int32)
        return codes, tf.maximum(row_lengths(observed), 1) if masked else None

    def _encode(self, values, lengths, rng=None) -> Encoded:
        vectors = values if self.read_symbols is None else self.read_symbols(values)
        states = self.encoder.run(EncoderInputs(vectors, None, lengths, None, None), rng)
        encoded = Encoded.by(self.encoder, states, lengths)
        if rng is not None and self.dropout:
            encoded = encoded._replace(context=rng.dropout(encoded.context, self.dropout))
        return encoded

    def _feed(self, said):
        """What the decoder reads back of an output; of symbols, the likeliest."""
        return said if self.said_symbols is None else self.said_symbols(tf.argmax(said, axis=-1, output_type=tf.int32))

    # -- use ---------------------------------------------------------------------------------------------------

    def say(self, x, masked: bool, n_steps: int) -> Decoded:
        """Values, or logits of symbols, of `n_steps` steps, each read back as the next begins."""
        return self.decoder.unfold(self._encode(*self._readable(x, masked)), n_steps, feed=self._feed)

    def call(self, x, masked: bool = True, n_steps: int = 1):
        return self.say(x, masked, n_steps).values

    def greedy(self, x, masked: bool, n_steps: int):
        """The likeliest symbol at each step: codes (batch, n_steps), -1 from the stop on."""
        return self._until_stop(tf.argmax(self.say(x, masked, n_steps).values, axis=-1, output_type=tf.int32))

    def look(self, x, masked: bool, n_steps: int):
        """Where the decoder looks at each step: (batch, n_steps, n_timesteps), NaN past the end of x."""
        values, lengths = self._readable(x, masked)
        weights = self.decoder.unfold(self._encode(values, lengths), n_steps, feed=self._feed).weights
        if lengths is None:
            return weights
        return tf.where(step_mask(lengths, x.shape[1])[:, None, :, 0] > 0, weights, float("nan"))

    def draw(self, x, masked: bool, n_steps: int, temperature: float, seed):
        """Symbols drawn from the softmax of logits / temperature: codes as from `greedy`."""

        def choose(i, logits):
            drawn = tf.random.stateless_categorical(logits / temperature, 1, tf.random.fold_in(seed, i), tf.int32)
            return drawn[:, 0]

        return self._until_stop(self._choose(self._encode(*self._readable(x, masked)), n_steps, choose))

    def _choose(self, encoded: Encoded, n_steps: int, choose: Callable):
        source, carry = self.decoder.begin(encoded)
        carry["fed"] = tf.zeros([tf.shape(encoded.context)[0], self.said_symbols.width])

        def step(i, carry):
            decoded, carry = self.decoder.step(source, carry, carry["fed"])
            codes = choose(i, decoded.values)
            return {**carry, "fed": self.said_symbols(codes)}, codes

        return run_steps(step, carry, n_steps)[1]

    def beam(self, x, masked: bool, n_steps: int, width: int) -> dict:
        """The likeliest sequence among the `width` best prefixes kept at each step.

        Returns
        -------
        dict
            codes: (batch, n_steps) as from `greedy`; score: (batch,) their log-probability.
        """
        encoded = self._encode(*self._readable(x, masked))
        batch, n_symbols = tf.shape(encoded.context)[0], self.said_symbols.n_symbols
        each = tf.nest.map_structure(lambda part: None if part is None else tf.repeat(part, width, axis=0), encoded)
        source, carry = self.decoder.begin(each)
        carry = {
            "decoder": carry,
            "fed": tf.zeros([batch * width, self.said_symbols.width]),
            # All prefixes are empty, hence the same: only the first may grow.
            "score": tf.tile(tf.constant([[0.0] + [-1e9] * (width - 1)]), [batch, 1]),
            "ended": tf.zeros([batch, width], tf.bool),
            "said": tf.fill([batch, width, n_steps], -1),
        }

        def step(i, carry):
            decoded, after = self.decoder.step(source, carry["decoder"], carry["fed"])
            gains = tf.reshape(tf.nn.log_softmax(decoded.values), [batch, width, n_symbols])
            # What has ended goes on in one way only, at no cost.
            at_rest = tf.one_hot(0, n_symbols, on_value=0.0, off_value=-1e9)
            gains = tf.where(carry["ended"][..., None], at_rest, gains)
            score, best = tf.math.top_k(tf.reshape(carry["score"][..., None] + gains, [batch, -1]), width)
            parent, symbol = best // n_symbols, best % n_symbols

            def kept(part):
                by_beam = tf.reshape(part, tf.concat([[batch, width], tf.shape(part)[1:]], axis=0))
                return tf.ensure_shape(tf.reshape(tf.gather(by_beam, parent, batch_dims=1), tf.shape(part)), part.shape)

            ended = tf.gather(carry["ended"], parent, batch_dims=1)
            said = tf.gather(carry["said"], parent, batch_dims=1)
            said = tf.where(tf.range(n_steps) == i, tf.where(ended, -1, symbol)[..., None], said)
            return {
                "decoder": tf.nest.map_structure(kept, after),
                "fed": self.said_symbols(tf.reshape(symbol, [-1])),
                "score": score,
                "ended": ended | (symbol == self.stop) if self.stops else ended,
                "said": said,
            }, []

        carry, _ = run_steps(step, carry, n_steps)
        return {"codes": self._until_stop(carry["said"][:, 0]), "score": carry["score"][:, 0]}

    def _until_stop(self, codes):
        if not self.stops:
            return codes
        going = tf.math.cumprod(tf.cast((codes != self.stop) & (codes >= 0), tf.int32), axis=1)
        return tf.where(going > 0, codes, -1)
