"""`LSTMAutoencoder`: what it learns and what it gives."""

import copy
import gc
import pickle
import random

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.options import nested
from tsae import LSTMAutoencoder, TrainingDivergedError, make_windows

CLASSIC = {"bidirectional": False, "pooling": "last", "scale": None, "reverse_target": False, "schedule": "constant",
           "learning_rate": 1e-3, "batch_size": 1, "epochs": 300, "random_state": 0}  # fmt: skip
DECODERS = ["reconstruction", "prediction", "composite", "imputation", ("reconstruction", "imputation")]


def waves(n=40, n_timesteps=16, n_channels=2, seed=0):
    draw = np.random.default_rng(seed)
    phase = draw.uniform(0, 6, (n, 1, n_channels))
    return (
        5
        + 3 * np.sin(np.arange(n_timesteps)[:, None] / 2 + phase)
        + draw.normal(scale=0.1, size=(n, n_timesteps, n_channels))
    )


def small(**options):
    return LSTMAutoencoder(**nested({"units": 4, "bidirectional": False, "epochs": 2, "random_state": 0, **options}))


@pytest.fixture(scope="module")
def X():
    return waves()


@pytest.fixture(scope="module")
def fitted(X):
    """One fitted model for each kind of decoder, and one with a horizon."""
    models = {str(decoder): small(decoder=decoder, bidirectional=True).fit(X) for decoder in DECODERS}
    return models | {"horizon": small(decoder="composite", horizon=3, scale="window").fit(X)}


# -- the tutorials' autoencoders -----------------------------------------------------------------------------------

RAMP = np.linspace(0.1, 0.9, 9).reshape(1, 9, 1)


@pytest.mark.quality
@pytest.mark.parametrize(
    ("decoder", "largest"),
    [("reconstruction", {"reconstruction": 0.01}), ("prediction", {"prediction": 0.04}),
     ("composite", {"reconstruction": 0.01, "prediction": 0.04})],
)  # fmt: skip
def test_the_tutorials_autoencoders_reach_their_figures(decoder, largest):
    model = LSTMAutoencoder(100, decoder=decoder, **CLASSIC).fit(RAMP)
    for name, bound in largest.items():
        error = np.abs(model.reconstruct(RAMP, name) - RAMP)
        assert np.nanmax(error) < bound
        assert np.isnan(error).sum() == (name == "prediction")
    assert model.transform(RAMP).shape == (1, 100)
    np.testing.assert_allclose(model.encoder_(RAMP.astype("float32")), model.transform(RAMP), atol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(RAMP), model.transform(RAMP))


# -- what it learns ------------------------------------------------------------------------------------------------


@pytest.mark.quality
@pytest.mark.parametrize("decoder", DECODERS)
def test_training_lowers_the_loss_and_beats_the_mean(decoder):
    X = waves(100)
    model = small(decoder=decoder, units=12, epochs=40, learning_rate=1e-2).fit(X)
    assert model.history_["loss"].iloc[-1] < 0.4 * model.history_["loss"].iloc[0]
    for head in model.model_.heads:
        output = model.reconstruct(X, head.name)
        assert np.nanmean((output - X) ** 2) < 0.5 * X.var()


@pytest.mark.quality
def test_forecast_continues_a_wave():
    series = np.sin(np.arange(600) / 4)
    windows = make_windows(series, width=40)
    model = LSTMAutoencoder(16, decoder="prediction", horizon=5, epochs=15, learning_rate=1e-2, random_state=0).fit(
        windows[:500]
    )
    forecast = model.forecast(windows[540:550])
    assert forecast.shape == (10, 5, 1)
    truth = np.array([series[start + 40 : start + 45] for start in range(540, 550)])
    assert np.abs(forecast[..., 0] - truth).mean() < 0.15


def test_composite_with_horizon_reconstructs_what_it_read_and_predicts_the_rest(fitted, X):
    model = fitted["horizon"]
    rebuilt, predicted = model.reconstruct(X, "reconstruction"), model.reconstruct(X, "prediction")
    assert np.isnan(rebuilt[:, -3:]).all()
    assert not np.isnan(rebuilt[:, :-3]).any()
    assert np.isnan(predicted[:, :-3]).all()
    assert not np.isnan(predicted[:, -3:]).any()
    assert model.forecast(X).shape == (40, 3, 2)


@pytest.mark.parametrize("decoder", ["reconstruction", "imputation"])
def test_steps_that_are_not_read_have_no_output_where_another_window_has_a_gap(X, decoder):
    model = small(decoder=(decoder, "prediction"), horizon=3).fit(X)
    gaps = X.copy()
    gaps[1, 4] = np.nan
    rebuilt = model.reconstruct(gaps, decoder)
    np.testing.assert_array_equal(np.isnan(rebuilt), np.isnan(model.reconstruct(X, decoder)))
    assert np.isnan(rebuilt[:, -3:]).all()


def test_windows_shorter_than_the_horizon_have_no_reconstruction(fitted, X):
    short = X.copy()
    short[2, 1:] = np.nan
    rebuilt = fitted["horizon"].reconstruct(short, "reconstruction")
    assert np.isnan(rebuilt[2]).all()
    np.testing.assert_allclose(rebuilt[3:], fitted["horizon"].reconstruct(X, "reconstruction")[3:], atol=1e-5)


def test_the_encoder_does_not_see_what_is_to_be_predicted(fitted, X):
    model = fitted["horizon"]
    changed = X.copy()
    changed[:, -3:] += 100
    np.testing.assert_allclose(
        model.reconstruct(changed, "prediction")[:, -3:], model.reconstruct(X, "prediction")[:, -3:], atol=1e-4
    )


def test_imputation_reconstructs_hidden_steps(X):
    model = small(bidirectional=True, mask_span=1, scale="channel").fit(X)
    output = model.reconstruct(X)
    for step in (0, 7, 15):  # with spans of one step every third is hidden, so its own value has no effect
        changed = X.copy()
        changed[:, step] += 50
        np.testing.assert_allclose(model.reconstruct(changed)[:, step], output[:, step], atol=1e-3)
        neighbour = abs(step - 1)
        assert np.abs(model.reconstruct(changed)[:, neighbour] - output[:, neighbour]).max() > 1e-2


def test_offsets_are_shares_of_the_window_unless_given():
    def offsets(width, **settings):
        model = small(epochs=1, **settings).fit(np.random.default_rng(0).normal(size=(8, width, 1)))
        if width == 300:
            assert model.reconstruct(np.zeros((2, width, 1))).shape == (2, width, 1)
        return model.model_.config.target_offsets

    assert offsets(64) == (2, 8)
    assert offsets(16) == (2,)
    assert offsets(300) == (2, 8)  # of the stretches of 64 steps that it trains on
    assert offsets(64, target_offsets=()) == ()
    assert offsets(64, target_offsets=np.int64(3)) == (3,)
    assert offsets(7) == ()


def test_decode_gives_the_reconstruction_back(fitted, X):
    model = fitted["reconstruction"]
    np.testing.assert_allclose(model.decode(model.transform(X)), model.reconstruct(X), atol=1e-4)
    assert model.decode(model.transform(X), n_timesteps=5).shape == (40, 5, 2)


def test_score_is_minus_the_mean_squared_error_of_the_decoders(fitted, X):
    for name in ("reconstruction", "composite"):
        model = fitted[name]
        errors = [
            np.nanmean(((model.reconstruct(X, head.name) - X) / model.scaler_.scale_) ** 2, axis=(1, 2))
            for head in model.model_.heads
        ]
        np.testing.assert_allclose(model.score_samples(X), -np.mean(errors, axis=0), rtol=1e-3)
        assert model.score(X) == pytest.approx(model.score_samples(X).mean())


# -- what it gives -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", [str(decoder) for decoder in DECODERS])
def test_features_do_not_depend_on_neighbours(fitted, X, decoder):
    model = fitted[decoder]
    whole = model.transform(np.tile(X, (20, 1, 1)))
    assert whole.dtype == np.float32
    assert whole.shape == (800, len(model.get_feature_names_out()))
    for part in (slice(0, 1), slice(3, 11), slice(0, 40)):
        np.testing.assert_allclose(model.transform(X[part]), whole[part], atol=1e-5)


def test_feature_names_hold_pooling_and_unit(X):
    model = small(pooling=("last", "mean"), bidirectional=False).fit(X)
    assert list(model.get_feature_names_out()) == [f"{kind}_{i}" for kind in ("last", "mean") for i in range(4)]
    stacked = small(units=(2, 3), pooling="max", bidirectional=False).fit(X)
    assert list(stacked.get_feature_names_out()) == [
        "layer0_max_0", "layer0_max_1", "layer1_max_0", "layer1_max_1", "layer1_max_2"]  # fmt: skip


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_state_of_the_sequence_is_the_last_feature(X, cell):
    model = small(cell=cell, bidirectional=False, pooling="last").fit(X)
    states = model.encode_sequence(X)
    assert states.shape == (40, 16, 4)
    np.testing.assert_allclose(states[:, -1], model.transform(X), atol=1e-6)


def test_cell_pooling_is_the_cell_state_of_keras(X):
    model = small(bidirectional=False, pooling="cell", scale=None).fit(X)
    stock = keras.layers.LSTM(4, return_state=True)
    stock.build((None, 16, 2))
    stock.set_weights(model.encoder_.forward_layers[0].get_weights())
    _, _, cell_state = stock(tf.constant(X, tf.float32))
    np.testing.assert_allclose(model.transform(X), cell_state, atol=1e-5)


def test_two_d_input_is_univariate(X):
    flat = small().fit(X[:, :, 0])
    assert flat.n_features_in_ == 16
    assert (flat.n_timesteps_, flat.n_channels_) == (16, 1)
    np.testing.assert_array_equal(flat.transform(X[:, :, 0]), flat.transform(X[:, :, :1]))


def test_windows_are_as_good_as_the_array_of_them():
    windows = make_windows(waves(1, 80)[0], width=16, stride=2)
    model = small().fit(windows)
    np.testing.assert_array_equal(model.transform(windows), model.transform(windows.to_numpy()))
    np.testing.assert_array_equal(model.transform(windows[3:9]), model.transform(windows)[3:9])


def test_unrolled_is_looped(X):
    looped, unrolled = (small(unroll=unroll).fit(X) for unroll in (False, True))
    np.testing.assert_allclose(unrolled.transform(X), looped.transform(X), atol=1e-5)


def test_no_epochs_leave_the_weights_as_they_are_drawn():
    X = np.random.default_rng(0).normal(size=(20, 12, 2))
    network = {"units": 3, "random_state": 0}
    drawn = LSTMAutoencoder(**network, epochs=0).fit(X)
    assert len(drawn.history_) == 0
    again = LSTMAutoencoder(**network, epochs=1, learning_rate=1e-12).fit(X)
    np.testing.assert_allclose(drawn.transform(X), again.transform(X), atol=1e-6)
    assert np.abs(drawn.transform(X) - LSTMAutoencoder(**network, epochs=1).fit(X).transform(X)).max() > 1e-3


# -- ragged and missing --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ragged():
    draw = np.random.default_rng(0)
    return [window[: draw.integers(6, 17)] for window in waves()]


@pytest.mark.parametrize("decoder", ["imputation", "composite"])
def test_a_short_series_is_the_same_alone(ragged, decoder):
    model = small(decoder=decoder, units=(4, 4), bidirectional=True).fit(ragged)
    assert model.n_timesteps_ is None
    features, rebuilt, states = model.transform(ragged), model.reconstruct(ragged), model.encode_sequence(ragged)
    for position in (0, 5, int(np.argmin([len(w) for w in ragged]))):
        np.testing.assert_allclose(model.transform([ragged[position]])[0], features[position], atol=1e-5)
        length = len(ragged[position])
        alone = model.reconstruct([ragged[position]])[0]
        np.testing.assert_allclose(alone[:length], rebuilt[position, :length], atol=1e-3)
        assert np.isnan(rebuilt[position, length:]).all()
        assert np.isnan(states[position, length:]).all()


def test_missing_values_are_neither_input_nor_target(X):
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    for decoder in ("imputation", "composite"):
        model = small(decoder=decoder, scale="both").fit(holes)
        for result in (model.transform(holes), model.score_samples(holes), model.history_["loss"].to_numpy()):
            assert np.isfinite(result).all()


# -- state ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decoder", [*map(str, DECODERS), "horizon"])
def test_copies_give_the_same_results(fitted, X, decoder):
    model = fitted[decoder]
    again = copy.deepcopy(model) if decoder == "horizon" else pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.reconstruct(X), model.reconstruct(X))
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    pd.testing.assert_frame_equal(again.history_, model.history_)


def test_random_state_repeats_and_no_global_generator_is_touched(X):
    def fit(**options):
        return small(decoder=("prediction", "imputation"), noise=0.1, dropout=0.2, **options).fit(X)

    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    keras.utils.set_random_seed(1)
    before = np.random.get_state()[1].copy(), random.getstate(), float(tf.random.uniform([]))  # noqa: NPY002
    keras.utils.set_random_seed(1)
    first = fit()
    after = np.random.get_state()[1], random.getstate(), float(tf.random.uniform([]))  # noqa: NPY002
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1:] == after[1:]
    np.testing.assert_array_equal(first.transform(X), fit().transform(X))
    other = fit(random_state=1)
    assert not np.array_equal(first.transform(X), other.transform(X))


def test_fits_leave_nothing_behind(X):
    """Many fits in one process, as in a grid search, must not run out of memory."""

    def live_objects_after_a_fit():
        small().fit(X).transform(X)
        gc.collect()
        return len(gc.get_objects())

    live_objects_after_a_fit()
    first = live_objects_after_a_fit()
    assert live_objects_after_a_fit() - first < 1000  # one graph alone has ten times as many


def test_warm_start_continues(X):
    model = small(warm_start=True).fit(X)
    loss, weights = model.history_["loss"].iloc[-1], model.model_.get_weights()
    model.fit(X)
    assert len(model.history_) == 4
    assert model.history_["loss"].iloc[-1] < loss
    assert any(not np.array_equal(a, b) for a, b in zip(weights, model.model_.get_weights(), strict=True))
    fresh = small().fit(X)
    assert len(fresh.fit(X).history_) == 2


def test_partial_fit_learns_from_parts(X):
    model = small(schedule="constant", learning_rate=1e-2)
    losses = [model.partial_fit(part).score(X) for part in np.array_split(np.tile(X, (4, 1, 1)), 8)]
    assert losses[-1] > losses[0]
    assert len(model.history_) == 8
    again = pickle.loads(pickle.dumps(model)).partial_fit(X)
    assert len(again.history_) == 9


def test_validation_keeps_the_best_and_stops(X):
    model = small(validation_fraction=0.25, patience=2, epochs=200, learning_rate=0.05, schedule="constant").fit(X)
    assert {"epoch", "loss", "val_loss", "gradient_norm"} == set(model.history_.columns)
    assert len(model.history_) < 200
    assert model.history_["val_loss"].idxmin() == len(model.history_) - 3


def test_history_holds_the_norm_of_the_gradients(X):
    history = small().fit(X).history_
    assert list(history) == ["epoch", "loss", "gradient_norm"]
    assert (history["gradient_norm"] > 0).all()


def test_callbacks_see_epochs_and_do_not_stop_cloning(X):
    losses = []
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    model = small(callbacks=[watch]).fit(X)
    np.testing.assert_allclose(losses, model.history_["loss"])
    copy.deepcopy(model)


def test_an_optimizer_is_copied(X):
    optimizer = keras.optimizers.Adam(0.01)
    small(optimizer=optimizer, schedule="constant").fit(X)
    assert not optimizer.built


def test_verbose_logs_where_there_is_no_terminal(X, caplog):
    with caplog.at_level("INFO", logger="tsae"):
        small(verbose=2).fit(X)
    assert [record.message.split()[1] for record in caplog.records] == ["1/2", "2/2"]


def test_divergence_names_the_epoch_and_leaves_a_usable_estimator(X):
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 1e-3 if epoch < 2 else 1e30

    model = small(
        optimizer="sgd", clipnorm=None, epochs=9, schedule="constant", loss="mse", scale=None, callbacks=[Explode()]
    )
    with pytest.raises(TrainingDivergedError, match="epoch 2.*learning_rate.*clipnorm"):
        model.fit(X * 1e3)
    assert len(model.history_) in (2, 3)
    assert np.isfinite(model.transform(X)).all()
