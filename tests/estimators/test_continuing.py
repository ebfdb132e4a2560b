"""Fits that continue: `partial_fit` and `warm_start`, with the parameters that the estimator has now."""

import pickle

import keras
import numpy as np
import pytest

from tests.options import nested
from tsae import DecoderOptions, LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq, load

QUICK = {"units": 4, "bidirectional": False, "epochs": 1, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    draw = np.random.default_rng(0)
    waves = np.sin(np.arange(12)[:, None] / 2 + draw.uniform(0, 6, (64, 1, 2)))
    return waves + draw.normal(scale=0.1, size=waves.shape)


def autoencoder(**options):
    return LSTMAutoencoder(**nested({**QUICK, "warm_start": True, "decoder": "reconstruction", **options}))


def classifier(**options):
    return LSTMClassifier(**{**QUICK, "warm_start": True, **options})


def seq2seq(**options):
    return LSTMSeq2Seq(**nested({**QUICK, "warm_start": True, **options}))


def fit(model, X):
    """The estimator, fitted on X and what it needs besides."""
    y = {"LSTMClassifier": np.arange(len(X)) % 2, "LSTMSeq2Seq": X[:, :3]}.get(type(model).__name__)
    return model.fit(X, y)


class Rates(keras.callbacks.Callback):
    """Learning rate at the end of training, and of each epoch."""

    def __init__(self):
        super().__init__()
        self.first, self.ends = [], []

    def on_train_begin(self, logs=None):
        self.first.append(float(self.model.optimizer.learning_rate))

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(float(self.model.optimizer.learning_rate))


# -- the learning rate ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_each_partial_fit_starts_from_the_learning_rate(X, schedule):
    rates = Rates()
    model = autoencoder(schedule=schedule, learning_rate=0.02, callbacks=[rates])
    for _ in range(5):
        model.partial_fit(X)
    weights = model.model_.get_weights()
    model.partial_fit(X)
    assert rates.first == pytest.approx([0.02] * 6)
    # at the rate that the call before left nothing would be learned
    assert max(np.abs(a - b).max() for a, b in zip(weights, model.model_.get_weights(), strict=True)) > 5e-3


@pytest.mark.parametrize("make", [autoencoder, classifier, seq2seq])
def test_each_warm_fit_starts_from_the_learning_rate(X, make):
    rates = Rates()
    model = fit(make(schedule="cosine", learning_rate=0.02, callbacks=[rates]), X)
    before = model.model_.get_weights()
    fit(model, X)
    assert rates.first == pytest.approx([0.02, 0.02])
    assert max(np.abs(a - b).max() for a, b in zip(before, model.model_.get_weights(), strict=True)) > 5e-3


def test_a_given_optimizer_starts_from_its_own_learning_rate(X):
    rates = Rates()
    model = autoencoder(optimizer=keras.optimizers.Adam(0.005), schedule="cosine", callbacks=[rates])
    fit(fit(model, X), X)
    assert rates.first == pytest.approx([0.005, 0.005])


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_a_callbacks_learning_rate_replaces_the_schedule(X, schedule):
    class AfterTheFirst(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.optimizer.learning_rate = 0.003

    options = {"schedule": schedule, "epochs": 3, "learning_rate": 0.01}
    rates = Rates()
    fit(autoencoder(callbacks=[AfterTheFirst(), rates], **options), X)
    np.testing.assert_allclose(rates.ends, [0.003] * 3, rtol=1e-6)
    rates = Rates()
    planned = keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / 2**epoch)  # the first is `learning_rate`
    fit(autoencoder(callbacks=[planned, rates], **options), X)
    np.testing.assert_allclose(rates.ends, [0.01, 0.005, 0.0025], rtol=1e-6)


# -- parameters that may change ------------------------------------------------------------------------------------


def largest_change(model, X):
    before = model.model_.get_weights()
    fit(model, X)
    return max(np.abs(a - b).max() for a, b in zip(before, model.model_.get_weights(), strict=True))


@pytest.mark.parametrize("make", [autoencoder, classifier, seq2seq])
def test_training_parameters_take_effect(X, make):
    model = fit(make(schedule="constant"), X)
    assert largest_change(model.set_params(learning_rate=1e-7), X) < 1e-5
    assert largest_change(model.set_params(learning_rate=0.01), X) > 1e-3
    assert largest_change(model.set_params(optimizer="sgd", clipvalue=1e-6), X) < 1e-5
    model.set_params(optimizer="adam", clipvalue=None, batch_size=32, epochs=2)
    n_before = len(model.history_)
    fit(model, X)
    assert len(model.history_) == n_before + 2
    assert model._trainer.config.batch_size == 32
    rates = Rates()
    fit(model.set_params(schedule="cosine", callbacks=[rates]), X)
    assert rates.ends[-1] < 0.01 * 0.5


@pytest.mark.parametrize("make", [autoencoder, classifier, seq2seq])
def test_settings_of_the_network_take_effect_and_the_weights_stay(X, make):
    model = fit(make(schedule="constant"), X)
    output = model.transform(X) if make is autoencoder else model.predict(X)
    weights = model.model_.get_weights()
    model.set_params(dropout=0.3, kernel_regularizer="l2", learning_rate=1e-9)
    fit(model, X)
    config = model.model_.config
    assert (config.dropout, config.encoder.dropout) == (0.3, 0.3)
    assert model.model_.losses
    for before, after in zip(weights, model.model_.get_weights(), strict=True):
        np.testing.assert_allclose(after, before, atol=1e-6)
    again = model.transform(X) if make is autoencoder else model.predict(X)
    if make is not classifier:
        np.testing.assert_allclose(again, output, atol=1e-4)
    again = pickle.loads(pickle.dumps(model))
    assert again.model_.config == config


def test_augmentation_and_loss_take_effect(X):
    model = fit(autoencoder(), X)
    model.set_params(loss="mae", augmentation=nested({"noise": 0.2, "mask_rate": 0.1, "mask_span": 3, "crop": 5})[
        "augmentation"])  # fmt: skip
    fit(model, X)
    config = model.model_.config
    assert (config.loss, config.noise, config.mask_rate, config.mask_span, config.crop) == ("mae", 0.2, 0.1, 3, 5)


def test_the_optimizers_state_is_kept(X):
    model = fit(autoencoder(), X)
    steps = int(model._trainer.optimizer.iterations)
    fit(model.set_params(batch_size=8, dropout=0.1), X)
    assert int(model._trainer.optimizer.iterations) == steps + 8


def test_a_frozen_encoder_can_be_fine_tuned_afterwards(X):
    source = LSTMAutoencoder(**QUICK).fit(X)
    model = fit(classifier(autoencoder=source, freeze=True), X)
    kept = source.encoder_.get_weights()
    for ours, theirs in zip(model.encoder_.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    fit(model.set_params(freeze=False, learning_rate=0.01), X)
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(model.encoder_.get_weights(), kept, strict=True))


def test_scheduled_sampling_may_follow_teacher_forcing(X):
    model = fit(seq2seq(feedback="teacher_forcing"), X)
    fit(model.set_params(decoder_options__feedback="scheduled_sampling", decoder_options__decay="exponential"), X)
    assert model.model_.config.decoder.decay.kind == "exponential"


# -- parameters that cannot change ---------------------------------------------------------------------------------

SHAPES = [
    (autoencoder, {"units": 8}, "units"),
    (autoencoder, {"cell": "gru"}, "cell"),
    (autoencoder, {"bidirectional": True}, "bidirectional"),
    (autoencoder, {"dilations": 2}, "dilations"),
    (autoencoder, {"pooling": "last"}, "pooling"),
    (autoencoder, {"scale": "channel"}, "scale"),
    (autoencoder, {"scale": None}, "scale"),
    (autoencoder, {"differences": True}, "differences"),
    (autoencoder, {"decoder": "composite"}, "decoder"),
    (autoencoder, {"reverse_target": False}, "reverse_target"),
    (autoencoder, {"decoder_options": DecoderOptions(units=5)}, "decoder_options.units"),
    (autoencoder, {"decoder_options": DecoderOptions(attention="general")}, "decoder_options.attention"),
    (classifier, {"units": 8}, "units"),
    (classifier, {"scale": "channel"}, "scale"),
    (classifier, {"autoencoder": LSTMAutoencoder(units=8)}, "autoencoder"),
    (seq2seq, {"units": 8}, "units"),
    (seq2seq, {"scale": None}, "scale"),
    (seq2seq, {"decoder_options": DecoderOptions(feedback=None)}, "decoder_options.feedback"),
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted(X):
    return {make: fit(make(), X) for make in (autoencoder, classifier, seq2seq)}


@pytest.mark.parametrize(("make", "change", "named"), SHAPES, ids=[f"{m.__name__}-{c}" for m, c, _ in SHAPES])
def test_what_shapes_the_network_cannot_change(X, fitted, make, change, named):
    model = fitted[make]
    weights, parameters = model.model_.get_weights(), {name: model.get_params()[name] for name in change}
    model.set_params(**change)
    with pytest.raises(ValueError, match=rf"^{named}=.* not allowed.*fitted with {named}=.*warm_start=False"):
        fit(model, X)
    if make is autoencoder:
        with pytest.raises(ValueError, match=rf"^{named}=.* not allowed"):
            model.partial_fit(X)
    for before, after in zip(weights, model.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    model.set_params(**parameters)


@pytest.mark.parametrize("make", [autoencoder, classifier, seq2seq])
def test_what_shapes_the_network_cannot_change_after_loading(X, fitted, make, tmp_path):
    fitted[make].save(tmp_path / "model.tsae")
    for other, change, named in SHAPES:
        if other is not make:
            continue
        model = load(tmp_path / "model.tsae")
        with pytest.raises(ValueError, match=rf"^{named}=.* not allowed.*fitted with {named}=.*warm_start=False"):
            fit(model.set_params(**change), X)
    assert len(fit(load(tmp_path / "model.tsae"), X[:16]).history_) == 2  # unchanged, it continues


def test_the_kind_of_sequences_cannot_change(X):
    model = seq2seq().fit(["ab", "ba"] * 8, ["ba", "ab"] * 8)
    with pytest.raises(ValueError, match="^shared_vocabulary=True is not allowed"):
        model.set_params(shared_vocabulary=True).fit(["ab", "ba"], ["ba", "ab"])


def test_a_new_fit_takes_any_change(X):
    model = fit(autoencoder(warm_start=False), X)
    assert fit(model.set_params(units=6, scale=None), X).model_.config.encoder.units == (6,)


# -- graphs --------------------------------------------------------------------------------------------------------


def ragged(draw, longest):
    return [draw.normal(size=(n, 1)) for n in (*draw.integers(4, longest, 15), longest)]


@pytest.mark.parametrize(
    "options", [{}, {"decoder": "imputation"}, {"tbptt_steps": 4, "scale": "channel", "dilations": 1}]
)
def test_ragged_windows_of_any_length_share_graphs(options):
    draw = np.random.default_rng(0)
    model = autoencoder(**options)
    for longest in range(17, 33, 3 if "tbptt_steps" in options else 5):
        model.partial_fit(ragged(draw, longest))
        assert np.isfinite(model.history_["loss"].iloc[-1])
    assert len(model._trainer._graphs) == (4 if "tbptt_steps" in options else 1)


def test_filling_up_windows_changes_no_loss():
    draw = np.random.default_rng(0)
    windows = ragged(draw, 11)
    exact, shared = (autoencoder(schedule="constant", batch_size=16) for _ in range(2))
    exact.fit(windows)
    shared.partial_fit(windows)
    assert {options.shapes[0][1] for options in shared._trainer._graphs} == {16}
    assert {options.shapes[0][1] for options in exact._trainer._graphs} == {11}
    np.testing.assert_allclose(exact.history_["loss"], shared.history_["loss"], rtol=1e-4)
    np.testing.assert_allclose(exact.transform(windows), shared.transform(windows), atol=1e-4)


def test_pairs_of_any_length_share_graphs():
    draw, model = np.random.default_rng(0), seq2seq()
    for longest in (9, 10, 11, 12, 13, 14, 15):
        X = ragged(draw, longest)
        model.fit(X, [x[: len(x) // 2 + 1] for x in X])
    assert len(model._trainer._graphs) <= 3


def test_automatic_batches_of_parts_keep_their_size(X):
    model = LSTMAutoencoder(units=4, random_state=0)
    large = np.tile(X, (10, 1, 1))
    for n in (640, 600, 500, 640):
        model.partial_fit(large[:n])
    assert model._trainer.config.batch_size == 20
    assert len(model._trainer._graphs) == 1


# -- what is refused before any work -------------------------------------------------------------------------------

EARLY = [
    ({"optimizer": "nonsense"}, "optimizer='nonsense'"),
    ({"optimizer": 3}, "optimizer=3"),
    ({"callbacks": keras.callbacks.Callback()}, "callbacks="),
    ({"callbacks": ["stop"]}, r"callbacks\[0\]='stop'"),
    ({"verbose": "yes"}, "verbose='yes'"),
    ({"verbose": -1}, "verbose=-1"),
    ({"random_state": "x"}, "random_state='x'"),
    ({"cell": "rnn"}, "cell='rnn'"),
]


@pytest.mark.parametrize(("change", "named"), EARLY, ids=[named for _, named in EARLY])
@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMClassifier, LSTMSeq2Seq])
def test_parameters_are_checked_before_the_data_are_read(kind, change, named):
    unreadable = object()
    y = () if kind is LSTMAutoencoder else (unreadable,)
    with pytest.raises(ValueError, match=named):
        kind(**change).fit(unreadable, *y)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"class_weight": "uniform"}, "class_weight='uniform'"), ({"class_weight": {0: -1}}, r"class_weight\[0\]=-1"),
     ({"autoencoder": LSTMAutoencoder(decoder="other")}, "decoder='other'")],
)  # fmt: skip
def test_parameters_of_the_classifier_are_checked_before_the_data_are_read(change, named):
    with pytest.raises(ValueError, match=named):
        LSTMClassifier(**change).fit(object(), object())


def test_class_weights_are_checked_before_the_autoencoder_is_trained(X):
    class Never(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("trained")

    source = LSTMAutoencoder(**QUICK, callbacks=[Never()])
    with pytest.raises(ValueError, match="not in class_weight"):
        LSTMClassifier(source, class_weight={"quick": 1.0}).fit(X, np.where(np.arange(64) % 2, "fast", "slow"))
