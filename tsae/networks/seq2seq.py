"""The network of sequence-to-sequence models: an encoder, a decoder, and tokens on either side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tsae.networks.config import Seq2SeqConfig
from tsae.networks.configured import TrainableModel
from tsae.networks.decoders import (
    Decoded,
    Encoded,
    RecurrentDecoder,
    forcing_in_training,
    teacher_forcing_rate,
)
from tsae.networks.encoder import Encoder, weight_seeds
from tsae.networks.inputs import EncoderInputs
from tsae.networks.loops import run_steps
from tsae.networks.losses import LOSSES
from tsae.networks.masking import fill_gaps, row_lengths, step_mask
from tsae.networks.random_state import StepRandomState


class TokenVectors(keras.layers.Layer):
    """Codes of tokens as vectors: one-hot, or rows of a learned table.

    Parameters
    ----------
    n_tokens : int
    embedding : int or None
        Width of the table; None: one-hot.
    seeds : iterator of int
        Seeds for the initial weights.
    """

    def __init__(self, n_tokens, embedding, seeds, name=None):
        super().__init__(name=name, dtype="float32")
        self.n_tokens, self.width = n_tokens, embedding or n_tokens
        self.table = None
        if embedding:
            uniform = keras.initializers.RandomUniform(-0.05, 0.05, seed=next(seeds))
            self.table = self.add_weight(shape=(n_tokens, embedding), initializer=uniform, name="table")
        self.built = True

    def call(self, codes):
        """(batch, n_timesteps) or (batch,) int32 -> the same with an axis of `width` at the end."""
        return tf.one_hot(codes, self.n_tokens) if self.table is None else tf.gather(self.table.value, codes)


@keras.saving.register_keras_serializable(package="tsae")
class Seq2Seq(TrainableModel):
    """An `Encoder` of one sequence and a `RecurrentDecoder` of another.

    Parameters
    ----------
    config : Seq2SeqConfig

    Notes
    -----
    Sequences are (batch, n_timesteps, n_channels) float, NaN where missing; tokens are one channel of codes,
    NaN past the end. The decoder is first fed zeros, which stand for the start.
    """

    config_class = Seq2SeqConfig
    has_recurrent_decoders = True

    def __init__(self, config: Seq2SeqConfig, name: str = "seq2seq", **kwargs: Any):
        super().__init__(config, name=name, **kwargs)
        seeds, embedding, feedback = weight_seeds(config.seed), config.embedding, config.decoder.feedback
        self.end_token = config.n_outputs
        n_outputs = config.n_outputs + config.has_end_token
        self.input_tokens: Any = None
        if config.input_tokens:
            self.input_tokens = TokenVectors(config.n_inputs, embedding, seeds, name="input_tokens")
        self.output_tokens: Any = None
        if config.output_tokens:  # what is not read back needs no table
            self.output_tokens = TokenVectors(n_outputs, embedding if feedback else None, seeds, name="output_tokens")
        self.encoder = Encoder(config.encoder)
        width = embedding if config.output_tokens and embedding else n_outputs
        self.decoder = RecurrentDecoder(
            config.decoder, self.encoder, n_outputs, seeds, feedback_width=width if feedback else 0, name="decoder"
        )
        self.error = LOSSES[config.loss]
        self.built = True

    # -- training ----------------------------------------------------------------------------------------------

    def prepare(self, x, weights, masked: bool, rng: StepRandomState, y) -> dict:
        """Sequences, their weights and their targets -> what `batch_loss` reads.

        Weights are divided by the number of values that count in the batch.
        """
        is_counted = tf.cast(weights > 0, tf.float32)
        values, lengths = self._readable(x, masked)
        batch = {"values": values}
        if lengths is not None:
            batch["lengths"] = lengths
        observed = tf.math.is_finite(y)
        if self.output_tokens is None:
            batch["targets"] = fill_gaps(y, observed)
            counted, weights = tf.cast(observed, tf.float32) * is_counted[:, None, None], weights[:, None, None]
        else:
            batch["targets"], counts = self._codes(y, observed)
            counted, weights = tf.cast(counts, tf.float32) * is_counted[:, None], weights[:, None]
        batch["weights"] = weights * tf.math.divide_no_nan(counted, tf.reduce_sum(counted))
        if self.config.decoder.decay is not None:
            rate = teacher_forcing_rate(self.config.decoder.decay, rng.step)
            batch["teacher_forcing_rate"] = tf.fill(tf.shape(is_counted), rate)
        return batch

    def _codes(self, y, observed):
        """Codes of the target with the end token after them, and which of them count."""
        lengths = row_lengths(observed)[:, None]
        codes = tf.cast(tf.where(observed, y, 0.0)[..., 0], tf.int32)
        if not self.config.has_end_token:
            return codes, tf.range(y.shape[1])[None] < lengths
        steps = tf.range(y.shape[1] + 1)[None]
        return tf.where(steps == lengths, self.end_token, tf.pad(codes, [[0, 0], [0, 1]])), steps <= lengths

    def batch_loss(self, batch: dict, rng: StepRandomState | None):
        """Weighted sum of errors of (a part of) a batch.

        Without `rng`, that is in validation, a decoder trained by scheduled sampling reads its own outputs.
        """
        encoded = self._encode(batch["values"], batch.get("lengths"), rng)
        target = batch["targets"]
        fed = target if self.output_tokens is None else self.output_tokens(target)
        forcing = forcing_in_training(self.config.decoder, fed, batch.get("teacher_forcing_rate"), rng)
        outputs = self.decoder.decode(encoded, target.shape[1], forcing, self._feed).values
        if self.output_tokens is None:
            return tf.reduce_sum(batch["weights"] * self.error(target - outputs))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=target, logits=outputs)
        return tf.reduce_sum(batch["weights"] * losses)

    def _readable(self, x, masked):
        """What the encoder reads, tokens still as codes, and the lengths of its rows (None: all steps)."""
        if self.input_tokens is None:
            inputs = self.encoder.read(x, masked)
            return inputs.values, inputs.lengths
        observed = tf.math.is_finite(x)
        codes = tf.cast(tf.where(observed, x, 0.0)[..., 0], tf.int32)
        return codes, tf.maximum(row_lengths(observed), 1) if masked else None

    def _encode(self, values, lengths, rng=None) -> Encoded:
        vectors = values if self.input_tokens is None else self.input_tokens(values)
        states = self.encoder.run(EncoderInputs(vectors, lengths=lengths), rng)
        encoded = Encoded.by(self.encoder, states, lengths)
        if rng is not None and self.config.dropout:
            encoded = encoded._replace(context=rng.dropout(encoded.context, self.config.dropout))
        return encoded

    def _feed(self, output):
        """What the decoder reads back of an output; of logits, the vector of the most probable token."""
        if self.output_tokens is None:
            return output
        return self.output_tokens(tf.argmax(output, axis=-1, output_type=tf.int32))

    # -- use ---------------------------------------------------------------------------------------------------

    def functions(self) -> dict[str, Callable]:
        """Four: "values", "greedy", "beam" and "attention"."""
        return {"values": self.call, "greedy": self.greedy, "beam": self.beam, "attention": self.attention_weights}

    def decode(self, x, masked: bool, n_steps: int) -> Decoded:
        """Values, or logits of tokens, of `n_steps` steps, each read back as the next begins."""
        return self.decoder.decode(self._encode(*self._readable(x, masked)), n_steps, feed=self._feed)

    def call(self, x, masked: bool = True, n_steps: int = 1):
        return self.decode(x, masked, n_steps).values

    def greedy(self, x, masked: bool, n_steps: int):
        """The most probable token at each step: codes (batch, n_steps), -1 from the end token on."""
        return self._until_end(tf.argmax(self.decode(x, masked, n_steps).values, axis=-1, output_type=tf.int32))

    def attention_weights(self, x, masked: bool, n_steps: int):
        """Weights of attention at each step: (batch, n_steps, n_timesteps), NaN past the end of x."""
        values, lengths = self._readable(x, masked)
        weights = self.decoder.decode(self._encode(values, lengths), n_steps, feed=self._feed).weights
        if lengths is None:
            return weights
        return tf.where(step_mask(lengths, x.shape[1])[:, None, :, 0] > 0, weights, float("nan"))

    def sample(self, x, masked: bool, n_steps: int, temperature: float, seed: tuple[int, int]):
        """Tokens drawn from the softmax of logits / temperature: codes as from `greedy`."""
        x, seed = tf.convert_to_tensor(x), tf.constant(seed)

        def choose(i, logits):
            drawn = tf.random.stateless_categorical(logits / temperature, 1, tf.random.fold_in(seed, i), tf.int32)
            return drawn[:, 0]

        return self._until_end(self._choose(self._encode(*self._readable(x, masked)), n_steps, choose))

    def _choose(self, encoded: Encoded, n_steps: int, choose: Callable):
        source, carry = self.decoder.begin(encoded)
        carry["fed"] = tf.zeros([tf.shape(encoded.context)[0], self.output_tokens.width])

        def step(i, carry):
            decoded, carry = self.decoder.step(source, carry, carry["fed"])
            codes = choose(i, decoded.values)
            return {**carry, "fed": self.output_tokens(codes)}, codes

        return run_steps(step, carry, n_steps)[1]

    def beam(self, x, masked: bool, n_steps: int, width: int) -> dict:
        """The most probable sequence found by a beam search that keeps the `width` best prefixes at each step.

        Returns
        -------
        dict
            codes: (batch, n_steps) as from `greedy`; score: (batch,) their log-probability.
        """
        encoded = self._encode(*self._readable(x, masked))
        batch, n_tokens = tf.shape(encoded.context)[0], self.output_tokens.n_tokens
        each = tf.nest.map_structure(lambda part: None if part is None else tf.repeat(part, width, axis=0), encoded)
        source, carry = self.decoder.begin(each)
        carry = {
            "decoder": carry,
            "fed": tf.zeros([batch * width, self.output_tokens.width]),
            # All prefixes are empty, hence the same: only the first may grow.
            "score": tf.tile(tf.constant([[0.0] + [-1e9] * (width - 1)]), [batch, 1]),
            "ended": tf.zeros([batch, width], tf.bool),
            "codes": tf.fill([batch, width, n_steps], -1),
        }

        def step(i, carry):
            decoded, after = self.decoder.step(source, carry["decoder"], carry["fed"])
            gains = tf.reshape(tf.nn.log_softmax(decoded.values), [batch, width, n_tokens])
            # An ended sequence has one continuation only, at no cost.
            unchanged = tf.one_hot(0, n_tokens, on_value=0.0, off_value=-1e9)
            gains = tf.where(carry["ended"][..., None], unchanged, gains)
            score, best = tf.math.top_k(tf.reshape(carry["score"][..., None] + gains, [batch, -1]), width)
            parent, token = best // n_tokens, best % n_tokens

            def kept(part):
                by_beam = tf.reshape(part, tf.concat([[batch, width], tf.shape(part)[1:]], axis=0))
                return tf.ensure_shape(tf.reshape(tf.gather(by_beam, parent, batch_dims=1), tf.shape(part)), part.shape)

            ended = tf.gather(carry["ended"], parent, batch_dims=1)
            codes = tf.gather(carry["codes"], parent, batch_dims=1)
            codes = tf.where(tf.range(n_steps) == i, tf.where(ended, -1, token)[..., None], codes)
            return {
                "decoder": tf.nest.map_structure(kept, after),
                "fed": self.output_tokens(tf.reshape(token, [-1])),
                "score": score,
                "ended": ended | (token == self.end_token) if self.config.has_end_token else ended,
                "codes": codes,
            }, []

        carry, _ = run_steps(step, carry, n_steps)
        return {"codes": self._until_end(carry["codes"][:, 0]), "score": carry["score"][:, 0]}

    def _until_end(self, codes):
        if not self.config.has_end_token:
            return codes
        going = tf.math.cumprod(tf.cast((codes != self.end_token) & (codes >= 0), tf.int32), axis=1)
        return tf.where(going > 0, codes, -1)
