"""The training loop: sharding a batch changes nothing, the best weights are kept, divergence is reported."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import naive
from tests.networks.builders import autoencoder_config
from tsae.errors import TrainingDivergedError
from tsae.networks import training
from tsae.networks.config import TrainingConfig
from tsae.networks.network import Autoencoder
from tsae.networks.random_state import StepRandomState
from tsae.networks.schedules import cosine_rates
from tsae.networks.training import Trainer
from tsae.networks.training_data import TrainingData, gather_windows


def data(n=50, n_timesteps=12, n_channels=2, seed=0, ragged=False, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n * n_timesteps, n_channels)).astype(np.float32)
    values[rng.random(values.shape) < missing] = np.nan
    lengths = rng.integers(5, n_timesteps + 1, n) if ragged else np.full(n, n_timesteps)
    weights = np.ones(n, np.float32)
    return TrainingData(values, np.arange(n) * n_timesteps, lengths, weights, n_timesteps, ragged or missing > 0)


# Two layers in both directions, two decoders; for what depends on the network.
DEEP = {"decoders": ("reconstruction", "prediction"), "units": [6, 4], "dilations": [1, 2], "bidirectional": True,
        "pooling": ["last", "mean"], "pooled_layers": "all"}  # fmt: skip
_OF_THE_ENCODER = ("units", "dilations", "bidirectional", "pooling", "pooled_layers", "kernel_regularizer")


def network(decoders=("reconstruction",), seed=0, **options):
    encoder = {name: options.pop(name) for name in _OF_THE_ENCODER if name in options}
    encoder = {"n_channels": 2, "units": [4], "seed": seed, **encoder}
    return Autoencoder(autoencoder_config(encoder, decoders, [5], seed=seed + 1, **options))


def trained(n_shards, data, epochs=2, batch_size=32, **options):
    net = network(**options)
    trainer = Trainer(net, keras.optimizers.Adam(0.01), TrainingConfig(batch_size, clipnorm=1.0), n_shards=n_shards)
    history = trainer.fit(data, None, epochs)
    return net, history


@pytest.mark.parametrize(
    ("kind", "decoders"),
    [({}, ("imputation",)), ({"ragged": True}, ("imputation",)), ({"missing": 0.2}, ("reconstruction", "prediction"))],
)
def test_shards_add_up_to_the_batch(kind, decoders):
    """Gradients of shards, with the last batch filled up by weight zero, add up to those of the batch."""
    results = [trained(n_shards, data(**kind), **{**DEEP, "decoders": decoders}) for n_shards in (1, 4)]
    (unsharded, unsharded_history), (net, history) = results
    assert history[-1]["loss"] == pytest.approx(unsharded_history[-1]["loss"], rel=1e-5)
    for ours, whole in zip(net.get_weights(), unsharded.get_weights(), strict=True):
        np.testing.assert_allclose(ours, whole, atol=2e-5)


def test_gradients_are_those_of_plain_keras():
    """One step of gradient descent gives the same weights as for a Keras functional model."""
    given = data(n=20)
    encoder = {"n_channels": 2, "units": [6], "pooling": ["last"]}
    net = Autoencoder(autoencoder_config(encoder, ["reconstruction"], [5], reverse_target=False))
    inputs = keras.Input((12, 2))
    x = keras.layers.LSTM(6)(inputs)
    x = keras.layers.RepeatVector(12)(x)
    x = keras.layers.LSTM(5, return_sequences=True)(x)
    plain = keras.Model(inputs, keras.layers.Dense(2)(x))
    plain.set_weights(net.get_weights())
    plain.compile(keras.optimizers.SGD(0.5), "mse")
    windows = given.values.reshape(20, 12, 2)
    plain.fit(windows, windows, batch_size=20, verbose=0)
    Trainer(net, keras.optimizers.SGD(0.5), TrainingConfig(20), n_shards=2).fit(given, None, 1)
    for ours, theirs in zip(net.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_missing_values_are_neither_inputs_nor_targets():
    """Values past the end of a window, and of other windows, have no effect."""
    kept = data(ragged=True)
    changed = data(ragged=True)
    for start, length in zip(kept.starts, kept.lengths, strict=True):
        changed.values[start + length : start + kept.width] = 1e6
    nets = [trained(1, given, bidirectional=True)[0] for given in (kept, changed)]
    for ours, theirs in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_same_seed_trains_to_the_same_bits():
    options = {"units": [4, 3], "noise": 0.1, "mask_rate": 0.2, "dropout": 0.1}
    first, second = (trained(2, data(), **options) for _ in range(2))
    assert first[1] == second[1]
    for ours, theirs in zip(first[0].get_weights(), second[0].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_windows_of_weight_zero_have_no_effect():
    """Such windows fill up the last batch."""
    alone, filled = data(n=10), data(n=20)
    filled.weights[10:] = 0
    filled.values[: len(alone.values)] = alone.values
    outcomes = []
    for part in (alone, filled):
        net = network()
        Trainer(net, keras.optimizers.SGD(0.1), TrainingConfig(20), n_shards=1).fit(part, None, 1)
        outcomes.append(net.get_weights())
    for ours, theirs in zip(*outcomes, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_best_epoch_is_kept():
    net = network()
    trainer = Trainer(net, keras.optimizers.SGD(0.5), TrainingConfig(32))
    validation = data(n=10, seed=1)
    seen = []

    class Worsen(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 (called by name)
            seen.append([w.copy() for w in self.model.get_weights()])
            if epoch == 1:
                self.model.set_weights([w + 0.5 for w in self.model.get_weights()])

    history = trainer.fit(data(), validation, 5, callbacks=[Worsen()])
    best = int(np.argmin([row["val_loss"] for row in history]))
    assert best < 4
    for ours, theirs in zip(net.get_weights(), seen[best], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert trainer.evaluate(validation) == pytest.approx(history[best]["val_loss"], rel=1e-5)


def test_patience_ends_training():
    net = network()
    history = Trainer(net, keras.optimizers.SGD(1e-30), TrainingConfig(32)).fit(
        data(), data(n=10, seed=1), 50, patience=3
    )
    assert len(history) == 4


def test_callbacks_may_stop_and_set_the_learning_rate():
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))
            assert set(logs) >= {"loss"}
            self.model.stop_training = epoch == 2

    halve = keras.callbacks.LearningRateScheduler(lambda _, rate: rate / 2)
    history = Trainer(network(), keras.optimizers.Adam(0.01), TrainingConfig(32)).fit(
        data(), None, 9, callbacks=[halve, Watch()]
    )
    assert len(history) == 3
    np.testing.assert_allclose(rates, [0.005, 0.0025, 0.00125], rtol=1e-5)


def test_cosine_schedule_rises_and_falls_to_zero():
    rates = cosine_rates(0.01, 100)
    assert rates[0] == pytest.approx(0.01 / 5)
    assert rates.argmax() in (4, 5)
    assert rates.max() == pytest.approx(0.01)
    assert rates[-1] < 1e-4
    trainer = Trainer(network(), keras.optimizers.Adam(0.01), TrainingConfig(32, schedule="cosine"))
    trainer.fit(data(), None, 3)  # of two steps each
    assert float(trainer.optimizer.learning_rate) == pytest.approx(cosine_rates(0.01, 6)[-1])


def test_an_optimizer_keeps_its_own_schedule():
    falling = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=1, decay_rate=0.5)
    trainer = Trainer(network(), keras.optimizers.Adam(falling), TrainingConfig(32, schedule="cosine"))
    trainer.fit(data(), None, 3)  # of two steps each
    assert float(trainer.optimizer.learning_rate) == pytest.approx(0.01 * 0.5**6)


def test_divergence_is_reported_and_the_best_weights_are_kept():
    net = network()
    trainer = Trainer(net, keras.optimizers.SGD(1e30), TrainingConfig(32))
    history: list = []

    class DivergeLater(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002 (called by name)
            self.model.optimizer.learning_rate = 0.01 if epoch == 0 else 1e30

    with pytest.raises(TrainingDivergedError, match=r"epoch [12]\b.*clipnorm.*clipvalue"):
        trainer.fit(data(), None, 5, callbacks=[DivergeLater()], history=history)
    assert len(history) in (1, 2)
    assert all(np.isfinite(w).all() for w in net.get_weights())
    assert np.isfinite(trainer.evaluate(data()))


@pytest.mark.parametrize(("limit", "bound"), [({"clipnorm": 1e-3}, 1e-3), ({"clipvalue": 1e-4}, 1e-4)])
def test_clipping_bounds_the_step(limit, bound):
    net = network()
    before = net.get_weights()
    Trainer(net, keras.optimizers.SGD(1.0), TrainingConfig(50, **limit)).fit(data(), None, 1)
    for new, old in zip(net.get_weights(), before, strict=True):
        size = np.linalg.norm(new - old) if "clipnorm" in limit else np.abs(new - old).max()
        assert size <= bound * 1.01


def test_penalties_shrink_weights():
    sizes = [
        np.abs(trained(2, data(), epochs=5, **extra)[0].encoder.forward_layers[0].get_weights()[0]).sum()
        for extra in ({}, {"kernel_regularizer": {"class_name": "L2", "config": {"l2": 10.0}}})
    ]
    assert sizes[1] < sizes[0]


def test_an_interrupted_fit_keeps_its_weights():
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002 (called by name)
            if epoch == 1:
                raise KeyboardInterrupt

    net, history = network(), []
    with pytest.raises(KeyboardInterrupt):
        Trainer(net, keras.optimizers.Adam(0.01), TrainingConfig(32)).fit(
            data(), None, 9, callbacks=[Interrupt()], history=history
        )
    assert len(history) == 2
    assert all(np.isfinite(w).all() for w in net.get_weights())


@pytest.mark.parametrize("scale", ["none", "only"])
def test_crops_are_parts_of_the_window_at_the_scale_of_the_whole(scale):
    encoder = {"n_channels": 1, "units": [3], "window_scale": scale}
    net = Autoencoder(autoencoder_config(encoder, ["imputation"], crop=5, mask_rate=0.0))
    x = np.full((3, 20, 1), np.nan, np.float32)
    for row, length in enumerate((20, 3, 10)):
        x[row, :length, 0] = 100 * row + np.arange(length)
    whole = net.encoder.read(tf.constant(x)).values.numpy()[..., 0]
    seen = set()
    for step in range(50):
        batch = net.prepare(tf.constant(x), tf.ones(3), True, StepRandomState(tf.constant([0, step])))
        values, lengths = batch["values"].numpy()[..., 0], batch["lengths"].numpy()
        assert values.shape == (3, 5)
        assert lengths.tolist() == [5, 3, 5]
        for row, length in enumerate((20, 3, 10)):
            first = int(np.argmin(np.abs(whole[row, :length] - values[row, 0])))
            seen.add((row, first))
            np.testing.assert_array_equal(values[row, : lengths[row]], whole[row, first : first + lengths[row]])
        weight = batch["weights"]["imputation"].numpy()
        assert (weight[1, 3:] == 0).all()
        assert weight.sum() == pytest.approx(1)
    assert {(0, 0), (0, 15), (1, 0), (2, 5)} <= seen


@pytest.mark.parametrize("lengths", [None, (9, 5, 1)])
@pytest.mark.parametrize("offsets", [(), (1,), (2, 30)])
def test_imputation_targets_are_the_values_at_the_offsets_in_the_window(lengths, offsets):
    encoder = {"n_channels": 1, "units": [3]}
    net = Autoencoder(autoencoder_config(encoder, ["imputation"], target_offsets=tuple(offsets), mask_rate=0.5))
    x = np.random.default_rng(0).normal(size=(3, 9, 1)).astype(np.float32)
    if lengths is not None:
        x[0, 4] = np.nan  # a gap is no target
        for row, length in enumerate(lengths):
            x[row, length:] = np.nan
    row_weights = np.array([1.0, 2.0, 3.0], np.float32)
    batch = net.prepare(
        tf.constant(x), tf.constant(row_weights), lengths is not None, StepRandomState(tf.constant([0, 1]))
    )
    target, weight = batch["targets"]["imputation"], batch["weights"]["imputation"]
    weight = np.broadcast_to(weight, target.shape)
    expected = np.zeros(target.shape)
    for row, length in enumerate(lengths or (9, 9, 9)):
        around = naive.imputation_targets([None if np.isnan(v) else v for v in x[row, :length, 0]], offsets)
        for step, values in enumerate(around):
            for place, value in enumerate(values):
                if value is not None:
                    assert target[row, step, place] == value
                    expected[row, step, place] = 1
    np.testing.assert_allclose(weight, expected / expected.sum() * row_weights[:, None, None], rtol=1e-5)


def test_contiguous_windows_are_gathered_as_any_others():
    given = data()
    assert given.is_contiguous
    assert not data(ragged=True).is_contiguous
    assert not dataclasses.replace(given, starts=given.starts + 1).is_contiguous
    assert not dataclasses.replace(given, values=given.values[:-1]).is_contiguous
    first, lengths = tf.constant(given.starts[[7, 0, 49, 7]]), tf.fill([4], 12)
    one_by_one = np.stack([given.values[begin : begin + 12] for begin in first.numpy()])
    for contiguous in (False, True):
        gathered = gather_windows(tf.constant(given.values), first, lengths, 12, 2, False, contiguous)
        np.testing.assert_array_equal(gathered, one_by_one)


def test_progress_is_reported_in_order():
    reported = []
    Trainer(network(), keras.optimizers.Adam(), TrainingConfig(8)).fit(
        data(), None, 2, on_progress=lambda epoch, step, n_steps, _: reported.append(epoch + step / n_steps)
    )
    assert reported == sorted(reported)
    assert reported[-1] == 2


@pytest.mark.parametrize("seconds", [1e-4, 10.0])
def test_the_history_does_not_depend_on_how_fast_the_machine_is(monkeypatch, seconds):
    """However an epoch is divided into calls, its loss and gradient norm are the same to the bit."""

    def history():
        return Trainer(network(), keras.optimizers.Adam(0.01), TrainingConfig(8)).fit(data(n=90), data(n=30), 2)

    expected = history()
    clock = iter(np.arange(10_000) * seconds)
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    assert history() == expected
