"""Decoders against a loop in NumPy, and whole sequences against single steps."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests import naive
from tests.networks.builders import make_encoder
from tsae.networks.config import DecayConfig, DecoderConfig
from tsae.networks.decoders import Encoded, RecurrentDecoder, TeacherForcing, inverse_sigmoid_k, teacher_forcing_rate
from tsae.networks.encoder import weight_seeds
from tsae.networks.inputs import EncoderInputs
from tsae.networks.loops import UNROLLED_STEPS, run_steps
from tsae.networks.random_state import StepRandomState

BATCH, N_MEMORY = 3, 5
LENGTHS = [5, 2, 4]


def make(cell="lstm", units=(4,), encoder_units=(4,), bidirectional=False, n_outputs=2, feedback_width=0, **options):
    encoder = make_encoder(2, encoder_units, cell=cell, bidirectional=bidirectional, seed=1)
    config = DecoderConfig(tuple(units), n_memory_steps=N_MEMORY, **options)
    decoder = RecurrentDecoder(config, encoder, n_outputs, weight_seeds(2), feedback_width=feedback_width, name="d")
    x = np.random.default_rng(0).normal(size=(BATCH, N_MEMORY, 2)).astype(np.float32)
    lengths = tf.constant(LENGTHS)
    states = encoder.run(EncoderInputs(tf.constant(x), lengths=lengths))
    return decoder, Encoded.by(encoder, states, lengths)


def row_of(encoded, row):
    n_steps = LENGTHS[row]
    states = [[part.numpy()[row] for part in layer] for layer in encoded.states]
    return encoded.context.numpy()[row], encoded.memory.numpy()[row, :n_steps], states


ATTENTIONS = [
    {}, {"attention": "dot"}, {"attention": "general"}, {"attention": "concat"}, {"attention": "location"},
    {"attention": "additive"}, {"attention": "general", "input_feeding": True},
]  # fmt: skip


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("feedback_width", [0, 2])
@pytest.mark.parametrize("bridge", ["repeat_vector", "initial_state", "both"])
def test_decoders_agree_with_a_loop_over_steps(attention, feedback_width, bridge):
    decoder, encoded = make(feedback_width=feedback_width, bridge=bridge, **attention)
    decoded = decoder.decode(encoded, 4)
    for row in range(BATCH):
        values, weights = naive.decode(decoder, *row_of(encoded, row), 4)
        np.testing.assert_allclose(decoded.values[row], values, atol=1e-5)
        if attention:
            np.testing.assert_allclose(decoded.weights[row, :, : LENGTHS[row]], weights, atol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_truth_is_fed_one_step_late(attention):
    decoder, encoded = make(feedback_width=2, **attention)
    truth = np.random.default_rng(1).normal(size=(BATCH, 4, 2)).astype(np.float32)
    decoded = decoder.decode(encoded, 4, TeacherForcing(tf.constant(truth)))
    for row in range(BATCH):
        values, _ = naive.decode(decoder, *row_of(encoded, row), 4, truth[row])
        np.testing.assert_allclose(decoded.values[row], values, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("attention", [{}, {"attention": "general"}, {"attention": "location"}])
@pytest.mark.parametrize("n_timesteps", [3, UNROLLED_STEPS + 4])
def test_direct_is_recursive(cell, attention, n_timesteps):
    """The whole sequence at once, given the outputs of the step-by-step form, has the same outputs and gradients."""
    decoder, encoded = make(cell=cell, units=(3, 4), feedback_width=2, bridge="both", **attention)
    with tf.GradientTape() as tape:
        stepwise = decoder.decode_recursively(encoded, n_timesteps)
        direct = decoder.decode_directly(encoded, n_timesteps, stepwise.values)
        difference = tf.reduce_sum(tf.square(direct.values - stepwise.values))
    np.testing.assert_allclose(direct.values, stepwise.values, atol=1e-5)
    gradients = tape.gradient(difference, decoder.trainable_variables)
    assert all(np.max(np.abs(gradient)) < 1e-3 for gradient in gradients if gradient is not None)


@pytest.mark.parametrize("attention", [{}, {"attention": "dot"}])
def test_direct_without_feedback_is_recursive(attention):
    decoder, encoded = make(**attention)
    np.testing.assert_allclose(
        decoder.decode_directly(encoded, 6).values, decoder.decode_recursively(encoded, 6).values, atol=1e-5
    )


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("units", [(6,), (3, 5, 4)])
def test_states_cross_a_bridge_where_widths_differ(bidirectional, units):
    encoder = {"encoder_units": (4, 3), "bidirectional": bidirectional}
    decoder, encoded = make(units=units, bridge="initial_state", feedback_width=2, **encoder)
    widths = [8, 6] if bidirectional else [4, 3]
    for depth, n_units in enumerate(units):
        assert bool(decoder.bridge_layers[depth]) == (widths[min(depth, 1)] != n_units)
    values, _ = naive.decode(decoder, *row_of(encoded, 1), 3)
    np.testing.assert_allclose(decoder.decode(encoded, 3).values[1], values, atol=1e-5)


def test_outputs_are_fed_back_through_a_function():
    decoder, encoded = make(feedback_width=2)
    decoded = decoder.decode(encoded, 4, feed=tf.sign)
    values, _ = naive.decode(decoder, *row_of(encoded, 0), 4, feed=np.sign)
    np.testing.assert_allclose(decoded.values[0], values, atol=1e-5)


def test_scheduled_sampling_mixes_truth_and_own_output():
    decoder, encoded = make(feedback_width=2)
    truth = tf.constant(np.random.default_rng(1).normal(size=(BATCH, 5, 2)).astype(np.float32))

    def mixed(rate):
        return decoder.decode(
            encoded, 5, TeacherForcing(truth, tf.fill([BATCH], rate), StepRandomState(tf.constant([3, 1])))
        ).values

    np.testing.assert_allclose(mixed(1.0), decoder.decode(encoded, 5, TeacherForcing(truth)).values, atol=1e-5)
    np.testing.assert_allclose(mixed(0.0), decoder.decode(encoded, 5).values, atol=1e-5)
    # at one half, each step of each row was fed one or the other
    teacher_forced = StepRandomState(tf.constant([3, 1])).uniform([BATCH, 5]).numpy() < 0.5
    assert 0 < teacher_forced.mean() < 1
    half = mixed(0.5).numpy()
    for row in range(BATCH):
        fed = np.zeros((5, 2))
        for step in range(4):  # the value of `step` is input of step + 1
            fed[step] = truth[row, step] if teacher_forced[row, step + 1] else half[row, step]
        values, _ = naive.decode(decoder, *row_of(encoded, row), 5, fed)
        np.testing.assert_allclose(half[row], values, atol=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "exponential", "inverse_sigmoid"])
def test_the_probability_of_the_truth_decays(schedule):
    decay = DecayConfig(schedule, updates=200.0, minimum=0.1)
    rates = np.array([float(teacher_forcing_rate(decay, tf.constant(i))) for i in range(0, 401, 50)])
    assert np.all(np.diff(rates) <= 1e-6)
    assert rates[0] > 0.95
    left = (rates - 0.1) / 0.9
    assert left[4] == pytest.approx(0.0 if schedule == "linear" else 0.01, abs=1e-4)
    formula = {
        "linear": lambda i: max(0.0, 1 - i / 200),
        "exponential": lambda i: (0.01 ** (1 / 200)) ** i,
        "inverse_sigmoid": lambda i: (k := inverse_sigmoid_k(200)) / (k + np.exp(i / k)),
    }[schedule]
    np.testing.assert_allclose(left, [formula(i) for i in range(0, 401, 50)], atol=1e-5)
    assert float(teacher_forcing_rate(replace(decay, updates=0.0), tf.constant(0))) == pytest.approx(0.1)


@pytest.mark.parametrize("n_steps", [1, UNROLLED_STEPS, UNROLLED_STEPS + 1])
def test_loops_carry_and_stack(n_steps):
    def step(i, carry):
        total = carry["total"] + tf.cast(i, tf.float32)
        return {"total": total}, [total, tf.stack([total, -total], axis=-1)]

    run = tf.function(lambda start: run_steps(step, {"total": start}, n_steps), autograph=False)
    carry, (totals, both) = run(tf.constant([0.0, 10.0]))
    expected = np.cumsum(np.arange(n_steps))[None] + np.array([[0.0], [10.0]])
    np.testing.assert_allclose(totals, expected)
    np.testing.assert_allclose(both, np.stack([expected, -expected], axis=-1))
    np.testing.assert_allclose(carry["total"], expected[:, -1])
