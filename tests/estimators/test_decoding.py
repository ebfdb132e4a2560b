"""Every pair of encoder, decoder, attention and feedback: it works, or it is refused before anything is built."""

import itertools
import pickle

import numpy as np
import pytest

from tests.options import nested
from tsae import LSTMAutoencoder
from tsae.estimators.decoding import ATTENTIONS

CHOICES = {
    "cell": ["lstm", "gru"],
    "bidirectional": [False, True],
    "units": [3, (4, 3)],
    "decoder_units": [None, (3, 5)],
    "decoder": ["reconstruction", "prediction", "composite", "imputation"],
    "horizon": [None, 2],
    "tbptt_steps": [None, 3],
    "feedback": [None, "teacher_forcing", "scheduled_sampling"],
    "attention": list(ATTENTIONS),
    "input_feeding": [False, True],
    "bridge": ["repeat_vector", "initial_state", "both"],
}
NAMES = list(CHOICES)
X = np.sin(np.arange(6)[:, None, None] + np.arange(7)[None, :, None] / 2 + np.arange(2))


def refused(options):
    """The parameter for which a combination is refused, by the documented rules; None if it is allowed."""
    width = np.ravel(options["units"])[-1] * (2 if options["bidirectional"] else 1)
    own = np.ravel(options["units"])[0] if options["decoder_units"] is None else options["decoder_units"][-1]
    if options["attention"] == "dot" and own != width:
        return "attention"
    if options["input_feeding"] and options["attention"] in (None, "additive"):
        return "input_feeding"
    if options["decoder"] == "imputation":
        for name, unused in (("bridge", "auto"), ("feedback", "auto"), ("attention", None)):
            if options[name] != unused:
                return name
    if options["tbptt_steps"]:
        if options["bidirectional"]:
            return "tbptt_steps"
        if options["horizon"] and options["decoder"] in ("prediction", "composite"):
            return "tbptt_steps"
    return None


QUICK = {"units": 3, "bidirectional": False, "dilations": 1, "scale": "channel", "pooling": "last", "epochs": 1,
         "batch_size": 8, "random_state": 0}  # fmt: skip


def make(options):
    return LSTMAutoencoder(**nested({**QUICK, **options}))


def all_combinations():
    for values in itertools.product(*CHOICES.values()):
        yield dict(zip(NAMES, values, strict=True))


def pairwise():
    """Few allowed combinations in which every pair of choices occurs that can have to do with each other.

    "composite" is "reconstruction" and "prediction" together, so it need not meet the options of one decoder; nor need
    the GRU meet what the outputs of a step go through.
    """
    of_one_decoder = {"attention", "input_feeding", "feedback", "bridge", "decoder_units"}
    of_a_step = {"attention", "input_feeding", "feedback", "horizon"}

    def is_free(first, second):
        return (first == ("decoder", "composite") and second[0] in of_one_decoder) or (
            first == ("cell", "gru") and second[0] in of_a_step
        )

    def pairs(options):
        found = itertools.combinations([(name, str(options[name])) for name in NAMES], 2)
        return {(a, b) for a, b in found if not is_free(a, b) and not is_free(b, a)}

    drawn = np.random.default_rng(1).permutation(list(all_combinations()))[:6000]
    held = [(options, pairs(options)) for options in drawn if refused(options) is None]
    left = set().union(*(inside for _, inside in held))
    chosen = []
    while left:
        options, inside = max(held, key=lambda candidate: len(candidate[1] & left))
        chosen.append(options)
        left -= inside
    return chosen


def test_what_cannot_work_is_refused_before_building_and_nothing_else():
    """For a twentieth of all combinations, so that every rule meets every pair of other choices many times."""
    combinations = list(all_combinations())
    for position in np.random.default_rng(1).permutation(len(combinations))[: len(combinations) // 20]:
        options = combinations[position]
        reason = refused(options)
        if reason is None:
            make(options)._check_parameters()
            continue
        with pytest.raises(ValueError, match=rf"^(decoder_options\.)?{reason}=.*is not allowed with"):
            make(options)._check_parameters()


@pytest.mark.parametrize(
    "options", pairwise(), ids=lambda options: "-".join(str(value).replace(" ", "") for value in options.values())
)
def test_what_is_allowed_fits_transforms_and_travels(options):
    model = make(options).fit(X)
    assert np.isfinite(model.transform(X)).all()
    copy = pickle.loads(pickle.dumps(model))  # the same settings and weights are the same network
    assert copy.model_.config == model.model_.config
    for ours, theirs in zip(copy.model_.get_weights(), model.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for decoder in model.decoders_:
        outputs = model.reconstruct(X, decoder)
        assert outputs.shape == X.shape
        assert np.isfinite(outputs).any()
    if options["attention"]:
        weights = model.attention_weights(X)
        assert weights.shape == (6, 7, 7)
        has_weights = np.isfinite(weights).any(axis=2)
        np.testing.assert_array_equal(has_weights, np.isfinite(model.reconstruct(X)).any(axis=2))
        np.testing.assert_allclose(np.nansum(weights, axis=2)[has_weights], 1.0, atol=1e-5)


def first_loss(**options):
    return make({"decoder": "reconstruction", **options}).fit(X).history_["loss"].iloc[0]


@pytest.fixture(scope="module")
def loss_of_teacher_forcing():
    return first_loss(feedback="teacher_forcing")


@pytest.mark.parametrize("decay", ["linear", "exponential", "inverse_sigmoid"])
def test_scheduled_sampling_ends_in_free_running(loss_of_teacher_forcing, decay):
    """Where the probability of teacher forcing stays at 1, training is teacher forcing; at 0 it is not."""
    always = first_loss(feedback="scheduled_sampling", decay_minimum=1.0, decay=decay)
    never = first_loss(feedback="scheduled_sampling", decay_epochs=0, decay=decay)
    assert always == pytest.approx(loss_of_teacher_forcing, rel=1e-4)
    assert abs(never - loss_of_teacher_forcing) > 1e-6


def test_ragged_windows_are_attended_to_within_their_lengths():
    ragged = [row[: 4 + i % 4] for i, row in enumerate(X)]
    model = make({"attention": "general", "decoder": "reconstruction", "feedback": "teacher_forcing"}).fit(ragged)
    weights = model.attention_weights(ragged)
    for row, window in enumerate(ragged):
        n_steps = len(window)
        assert np.isfinite(weights[row, :n_steps, :n_steps]).all()
        assert np.isnan(weights[row, n_steps:]).all()
        assert np.isnan(weights[row, :, n_steps:]).all()
    alone = model.attention_weights([ragged[0]])
    np.testing.assert_allclose(alone[0], weights[0, :4, :4], atol=1e-6)


def test_location_attention_refuses_longer_windows():
    model = make({"attention": "location", "decoder": "reconstruction"}).fit([X[0], X[1][:5], X[2]])
    with pytest.raises(ValueError, match="up to 9 steps, but attention='location'"):
        model.transform([X[0][:5], np.concatenate([X[1], X[1][:2]])])


@pytest.mark.parametrize("options", [{"attention": "general"}, {"bridge": "initial_state"}, {"bridge": "both"}])
def test_vectors_alone_cannot_be_decoded_where_the_decoder_reads_more(options):
    model = make({"decoder": "reconstruction", **options}).fit(X)
    with pytest.raises(ValueError, match="decode needs attention=None and bridge='repeat_vector'"):
        model.decode(model.transform(X))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tbptt_steps": 1}, "tbptt_steps=1"),
        ({"tbptt_steps": 3, "scale": "both"}, "tbptt_steps=3 is not allowed with scale='both'"),
        ({"tbptt_steps": 3, "differences": True}, "tbptt_steps=3 is not allowed with differences=True"),
        ({"tbptt_steps": 3, "dilations": 2}, "tbptt_steps=3 is not allowed with dilations=2"),
        ({"tbptt_steps": 3, "crop": 5}, r"tbptt_steps=3 is not allowed with augmentation\.crop=5"),
    ],
)
def test_truncation_needs_a_state_that_can_be_carried(options, named):
    model = make({"bidirectional": False, "decoder": "reconstruction"}).set_params(**nested(options))
    with pytest.raises(ValueError, match=named):
        model.fit(X)


# -- truncated back-propagation ------------------------------------------------------------------------------------


def test_chunks_are_windows_that_start_with_the_last_state_of_the_chunk_before():
    import tensorflow as tf

    model = make({"bidirectional": False, "decoder": "composite", "tbptt_steps": 3, "units": (4, 3)}).fit(X)
    network, scaled = model.model_, model.scaler_.transform(X)
    state, expected = None, []
    for first in (0, 3):
        chunk = tf.constant(scaled[:, first : first + 3])
        outputs, state = network._decode_chunk(chunk, True, state or network.initial_state(6), True)
        expected.append(outputs["reconstruction"]["values"])
    decoded = model.scaler_.transform(model.reconstruct(X, "reconstruction"))
    np.testing.assert_allclose(decoded[:, :6], np.concatenate(expected, axis=1), atol=1e-5)
    whole = network.encoder.run(network.encoder.read(tf.constant(scaled[:, :6]), True))
    np.testing.assert_allclose(state[-1][0], whole[-1].last, atol=1e-6)


def test_training_in_chunks_updates_after_each_and_carries_the_state():
    """Against the same by hand: plain gradient descent, one batch, two chunks, the second starting with the state."""
    import tensorflow as tf

    from tsae.networks.random_state import StepRandomState

    options = {"bidirectional": False, "decoder": "reconstruction", "tbptt_steps": 3, "units": 3}
    plain = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant", "clipnorm": None}
    windows = X[:, :6]
    trained = make(options).set_params(**plain).fit(windows)
    start = make(options).set_params(**{**plain, "learning_rate": 1e-30}).fit(windows)
    network, scaled = start.model_, tf.constant(start.scaler_.transform(windows))
    state = network.initial_state(6)
    for first in (0, 3):
        batch = network.prepare(scaled[:, first : first + 3], tf.ones(6), False, StepRandomState(tf.constant([0, 1])))
        with tf.GradientTape() as tape:
            loss, state = network.batch_loss({**batch, "state": state}, None)
        variables = [variable.value for variable in network.trainable_variables]
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.1 * gradient)
    for ours, by_hand in zip(trained.model_.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(ours, by_hand, atol=1e-5)


def test_series_of_different_lengths_end_in_different_chunks():
    ragged = [row[: 2 + i] for i, row in enumerate(X)]
    model = make({"bidirectional": False, "decoder": ("reconstruction", "imputation"), "tbptt_steps": 3}).fit(ragged)
    assert np.isfinite(model.history_["loss"]).all()
    outputs = model.reconstruct(ragged)
    assert [int(np.isfinite(row).all(axis=1).sum()) for row in outputs] == [2, 3, 4, 5, 6, 7]
    np.testing.assert_allclose(model.reconstruct([ragged[3]])[0], outputs[3, :5], atol=1e-6)
