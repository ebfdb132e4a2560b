"""LSTMSeq2Seq: tokens and values, lengths that vary, ways of decoding, and copies in a new process."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone

from tests import naive
from tests.options import nested
from tsae import LSTMSeq2Seq, TrainingDivergedError, load

QUICK = {"units": 6, "epochs": 2, "batch_size": 16, "random_state": 0}
WORDS = ["on", "off", "up", "down", "left"] * 8


def make(**options):
    return LSTMSeq2Seq(**nested(options))


def turned(words):
    return [word[::-1] for word in words]


@pytest.fixture(scope="module")
def reverser():
    """Strings of different lengths, learnt by heart."""
    return make(units=16, attention="general", epochs=40, batch_size=16, learning_rate=0.02, random_state=0).fit(
        WORDS, turned(WORDS)
    )


@pytest.fixture(scope="module")
def doubler():
    """Values: the last three steps of the first channel, doubled."""
    X = np.random.default_rng(0).normal(size=(64, 8, 2))
    Y = 3 + 2 * X[:, -3:, :1]
    return make(units=16, epochs=40, batch_size=16, learning_rate=0.02, random_state=0).fit(X, Y), X, Y


# -- tokens -------------------------------------------------------------------------------------------------------


def test_strings_are_said_with_their_own_lengths(reverser):
    assert reverser.predict(["up", "left", "off"]) == ["pu", "tfel", "ffo"]
    assert reverser.predict(["up", "left", "off"], beam_width=3) == ["pu", "tfel", "ffo"]
    assert reverser.score(WORDS, turned(WORDS)) == 1.0
    assert reverser.score(["up", "on"], ["pu", "nop"]) == 0.5
    assert reverser.has_end_token_
    assert reverser.n_timesteps_out_ == 4
    assert reverser.predict(["down"], n_timesteps=2) == ["nw"]


def test_an_answer_does_not_depend_on_its_neighbours(reverser):
    words = ["u", "left", "ooooooff", "nd"]
    together = reverser.predict(words)
    assert together == [reverser.predict([word])[0] for word in words]


@pytest.mark.parametrize("width", [2, 4])
def test_beams_find_what_the_loop_finds(width):
    """Untrained, so that the likeliest at each step is not the likeliest in all."""
    model = make(units=5, epochs=1, batch_size=16, random_state=3).fit(WORDS, turned(WORDS))
    network = model.model_
    network.set_weights([3 * weight for weight in network.get_weights()])
    windows, n_steps = model._inputs_and_steps(["up", "down"], None)
    x = windows.gather()
    found = network.beam(tf.constant(x, tf.float32), True, n_steps, width)
    encoded = network._encode(*network._readable(tf.constant(x, tf.float32), True))

    for row in range(2):

        def gains(prefix, row=row):
            one = tf.nest.map_structure(lambda part: part[row : row + 1], encoded)
            source, carry = network.decoder.begin(one)
            fed = tf.zeros([1, network.output_tokens.width])
            for code in (*prefix, None):
                decoded, carry = network.decoder.step(source, carry, fed)
                fed = fed if code is None else network.output_tokens(tf.constant([code]))
            return tf.nn.log_softmax(decoded.values)[0].numpy()

        predicted, score = naive.beam_search(gains, n_steps, width, network.end_token)
        codes = [code for code in found["codes"].numpy()[row] if code >= 0]
        assert codes == [code for code in predicted if code != network.end_token]
        assert float(found["score"][row]) == pytest.approx(score, abs=1e-4)


def test_samples_follow_the_probabilities(reverser):
    words = ["left"] * 200
    cold = reverser.sample(words, temperature=0.05, random_state=0)
    hot = reverser.sample(words, temperature=3.0, random_state=0)
    assert set(cold) == {"tfel"}
    assert len(set(hot)) > 20
    assert hot == reverser.sample(words, temperature=3.0, random_state=0)
    assert hot != reverser.sample(words, temperature=3.0, random_state=1)


@pytest.mark.parametrize("attention", ["general", "additive"])
def test_attention_weights_lie_on_the_input(attention):
    model = make(**QUICK, attention=attention).fit(WORDS, turned(WORDS))
    weights = model.attention_weights(["up", "down"])
    assert weights.shape == (2, 5, 4)
    assert np.isnan(weights[0, :, 2:]).all()
    np.testing.assert_allclose(np.nansum(weights, axis=2), 1.0, atol=1e-5)
    with pytest.raises(ValueError, match="needs attention"):
        make(**QUICK).fit(WORDS, WORDS).attention_weights(["up"])


def test_integers_of_one_length_come_back_as_an_array():
    X = np.random.default_rng(0).integers(10, 14, (32, 4))
    model = make(**QUICK, embedding=3, bidirectional=True).fit(X, X[:, :2])
    predicted = model.predict(X[:5])
    assert not model.has_end_token_
    assert predicted.shape == (5, 2)
    assert predicted.dtype.kind == "i"
    assert set(predicted.ravel()) <= set(range(10, 14))
    assert model.input_vocabulary_ == [10, 11, 12, 13]


@pytest.mark.parametrize(
    ("Y", "kind"),
    [
        ([["a", "b"], ["b"]] * 8, list),
        ([[1, 2], [2]] * 8, np.ndarray),
        ([np.array([5]), np.array([6, 7])] * 8, np.ndarray),
    ],
)
def test_words_and_ragged_integers_keep_their_form(Y, kind):
    model = make(**QUICK).fit(["ab", "c"] * 8, Y)
    predicted = model.predict(["ab", "c"])
    assert all(isinstance(sequence, kind) for sequence in predicted)


def test_shared_vocabulary_are_one_set_and_weights_are_those_of_the_tutorial():
    """52,212 weights: an encoder of 75 units, a decoder of 50 and a read-out of 12 tokens."""
    X = ["12+345", "  6+78", "90+  1"]
    model = make(
        units=75, decoder_units=50, bridge="repeat_vector", feedback=None, shared_vocabulary=True, epochs=1
    ).fit(X, [" 357", "  84", "  91"])
    assert len(model.input_vocabulary_) == 12
    assert model.output_vocabulary_ == model.input_vocabulary_
    assert model.model_.count_params() == 52_212
    assert [layer.count_params() for layer in model.encoder_.forward_layers] == [26_400]
    decoder = model.model_.decoder
    assert decoder.recurrent_layers[0].count_params() == 25_200
    assert decoder.output_layer.count_params() == 612


def test_unknown_tokens_are_named_with_their_place(reverser):
    with pytest.raises(ValueError, match=r"X\[1\] holds 'x' at position 2, a token that is not in the vocabulary of"):
        reverser.predict(["up", "foxo"])


@pytest.mark.parametrize(
    ("X", "named"),
    [
        (["up", ""], r"X\[1\] is empty"),
        ([], "0 sample"),
        ([["a", "b"], [1, 2]], "all of one kind"),
        (["up", 3], "lists of strings"),
    ],
)
def test_sequences_that_cannot_be_read_are_refused(X, named):
    with pytest.raises(ValueError, match=named):
        make(inputs="tokens").fit(X, ["up"] * len(X))


def test_as_many_targets_as_inputs():
    with pytest.raises(ValueError, match="X has 2 sequences, but Y has 3"):
        make().fit(["up", "on"], ["a", "b", "c"])


# -- values --------------------------------------------------------------------------------------------------------


def test_values_are_said_in_their_units(doubler):
    model, X, Y = doubler
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    assert model.score(X, Y) > 0.8
    assert abs(predicted.mean() - Y.mean()) < 0.3
    assert model.predict(X, n_timesteps=5).shape == (64, 5, 1)
    np.testing.assert_array_equal(model.predict(X[:3]), predicted[:3])


@pytest.mark.parametrize("question", ["beam", "sample"])
def test_values_have_no_beams_and_no_samples(doubler, question):
    model, X, _ = doubler
    with pytest.raises(ValueError, match="tokens"):
        model.predict(X, beam_width=2) if question == "beam" else model.sample(X)


def test_ragged_values_with_gaps():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(5 + i % 4, 2)) for i in range(24)]
    Y = [row[: 2 + i % 3, :1] for i, row in enumerate(X)]
    Y[0] = np.where(np.arange(2)[:, None] == 0, np.nan, Y[0])
    model = make(**QUICK, feedback="scheduled_sampling").fit(X, Y)
    assert np.isfinite(model.history_.loss).all()
    assert model.predict(X).shape == (24, 4, 1)
    longer = [np.concatenate([row, np.full((7, 2), np.nan)]) for row in X]
    np.testing.assert_allclose(model.predict(longer), model.predict(X), atol=1e-6)


def test_what_is_missing_in_a_target_counts_for_nothing():
    X = np.random.default_rng(0).normal(size=(16, 4, 1))
    Y = np.tile(np.arange(3.0), (16, 1))
    Y[3, 1] = np.nan
    model = make(**{**QUICK, "scale": None}, feedback=None).fit(X, Y)
    model = make(**{**QUICK, "scale": None, "learning_rate": 1e-12, "epochs": 1}, feedback=None).fit(X, Y)
    error = np.square(model.predict(X)[..., 0] - Y)
    assert model.history_.loss.iloc[0] == pytest.approx(np.nanmean(error), rel=1e-4)
    assert model.history_.loss.iloc[1] < model.history_.loss.iloc[0]


def test_the_next_value_and_tokens_from_values():
    X = np.sin(np.arange(40)[:, None] + np.arange(6) / 2.0)
    following = make(**QUICK).fit(X, np.sin(np.arange(40) + 3.0)[:, None])
    assert following.predict(X).shape == (40, 1, 1)
    named = make(**QUICK).fit(X, [["up"] if row[0] > 0 else ["down", "down"] for row in X])
    assert len(named.predict(X)) == 40


# -- kinds of encoder and decoder ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"units": (4, 3), "bidirectional": True, "decoder_units": (5, 4, 3)},
        {"cell": "gru", "attention": "concat", "feedback": "scheduled_sampling", "decay": "inverse_sigmoid"},
        {"cell": "gru", "bidirectional": True, "attention": "dot", "input_feeding": True, "bridge": "both"},
        {"attention": "location", "feedback": None, "bridge": "repeat_vector"},
        {"attention": "additive", "feedback": "scheduled_sampling", "decay_epochs": 0, "embedding": 4},
        {"unroll": True, "kernel_regularizer": "l2", "dropout": 0.2, "validation_fraction": 0.2, "schedule": "cosine"},
    ],
)
@pytest.mark.parametrize("side", ["tokens", "values"])
def test_combinations_fit_and_travel(options, side):
    if side == "tokens":
        X, Y = WORDS, turned(WORDS)
    else:
        X = np.random.default_rng(0).normal(size=(40, 5, 2))
        Y = X[:, ::-1, :1]
    model = make(**{**QUICK, **options}).fit(X, Y)
    predicted = model.predict(X[:6])
    copy = pickle.loads(pickle.dumps(model))
    if side == "tokens":
        assert copy.predict(X[:6]) == predicted
        assert len(copy.predict(X[:6], beam_width=2)) == 6
    else:
        np.testing.assert_array_equal(copy.predict(X[:6]), predicted)


def test_unrolled_is_looped(doubler):
    _, X, Y = doubler
    fits = [make(**QUICK, unroll=unroll).fit(X, Y).predict(X) for unroll in (False, True)]
    np.testing.assert_allclose(*fits, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"attention": "dot", "decoder_units": 5}, "attention='dot' is not allowed with a decoder of 5 units"),
        ({"attention": "dot", "bidirectional": True, "decoder_units": 128}, "states have width 256"),
        ({"input_feeding": True}, "input_feeding=True is not allowed with attention=None"),
        ({"input_feeding": True, "attention": "additive"}, "attention='additive'"),
        ({"bridge": "nothing"}, "bridge='nothing'"),
        ({"feedback": "own"}, "feedback='own'"),
        ({"decay": "cubic"}, "decay='cubic'"),
        ({"decay_minimum": 2}, "decay_minimum=2"),
        ({"scale": "window"}, "scale='window'"),
        ({"shared_vocabulary": True, "inputs": "values"}, "shared_vocabulary=True"),
        ({"embedding": 0}, "embedding=0"),
    ],
)
def test_arguments_that_are_not_allowed_are_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        make(**arguments).fit([[1.0, 2.0]] * 4 if "inputs" in arguments else WORDS, WORDS[:4])


def test_location_attention_knows_its_longest_window():
    model = make(**QUICK, attention="location").fit(WORDS, WORDS)
    assert len(model.predict(["o", "ow"])) == 2
    with pytest.raises(ValueError, match="up to 6 steps, but attention='location'"):
        model.predict(["downon"])


# -- the life of an estimator --------------------------------------------------------------------------------------


def test_repeatable_clonable_and_warm(doubler):
    _, X, Y = doubler
    first = make(**QUICK, warm_start=True).fit(X, Y)
    again = clone(first).fit(X, Y)
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    assert list(first.fit(X, Y).history_.epoch) == [0, 1, 2, 3]


def test_divergence_is_named(doubler):
    _, X, Y = doubler
    with pytest.raises(TrainingDivergedError, match="epoch"):
        make(**{**QUICK, "epochs": 30}, optimizer="sgd", learning_rate=1e30, clipnorm=None).fit(X, Y)


def test_loaded_in_a_new_process_it_predicts_the_same(reverser, tmp_path):
    with open(tmp_path / "model.pickle", "wb") as file:
        pickle.dump(reverser, file)
    reverser.save(tmp_path / "model.tsae")
    program = (
        "import pickle, tsae\n"
        f"words = ['up', 'left', 'noff']\n"
        f"pickled = pickle.load(open(r'{tmp_path / 'model.pickle'}', 'rb'))\n"
        f"for model in (pickled, tsae.load(r'{tmp_path / 'model.tsae'}')):\n"
        "    print(model.predict(words), model.predict(words, beam_width=3))\n"
    )
    predicted = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    words = ["up", "left", "noff"]
    expected = f"{reverser.predict(words)} {reverser.predict(words, beam_width=3)}"
    assert predicted.splitlines() == [expected, expected]
    assert load(tmp_path / "model.tsae").score(WORDS, turned(WORDS)) == 1.0
