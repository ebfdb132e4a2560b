"""`ChannelScaler`: the blocks that it works in change nothing."""

import numpy as np
import pytest

from tsae.data.scaling import ChannelScaler


@pytest.mark.parametrize(
    "shape", [(40_003, 3), (300, 64, 8), (70, 257, 1), (5, 3), (1, 1), (0, 4), (50, 0, 3)], ids=str
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_scaled_as_written_down(shape, dtype):
    draw = np.random.default_rng(0)
    values = draw.normal(5, 3, shape).astype(dtype)
    values[draw.random(shape) < 0.1] = np.nan
    scaler = ChannelScaler()
    scaler.mean_, scaler.scale_ = draw.normal(size=shape[-1]), draw.uniform(0.5, 2, shape[-1])
    expected = ((values - scaler.mean_) / scaler.scale_).astype(np.float32)
    np.testing.assert_array_equal(scaler.transform(values), expected)
    backwards = values[::-1]  # no contiguous memory
    np.testing.assert_array_equal(scaler.transform(backwards), expected[::-1])
