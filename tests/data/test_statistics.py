import numpy as np
import pytest

from tsae.data.inspection import dominating_values
from tsae.data.statistics import ChannelStatistics

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(5, 0.1, 400)


def with_marks(mark, count):
    channel = NORMAL.copy()
    channel[RNG.choice(len(channel), count, replace=False)] = mark
    return channel


CHANNELS = {
    "normal": NORMAL,
    "missing": np.where(np.arange(400) % 3 == 0, np.nan, NORMAL),
    "nothing": np.full(400, np.nan),
    "constant": np.full(400, 7.5),
    "flag": (np.arange(400) % 2).astype(float),
    "marker": with_marks(-999.0, 4),
    "single": with_marks(1e6, 1),
    "huge": with_marks(-3.4e35, 3),
    "many": with_marks(-999.0, 100),
    "constant with a marker": np.where(np.arange(400) == 100, -999.0, 7.5),
    "two markers": np.where(np.arange(400) == 7, 9999.0, with_marks(-999.0, 4)),
    "sorted": np.sort(NORMAL),
}


@pytest.mark.parametrize("cuts", [[], [1], [150, 151], list(range(13, 400, 13))])
def test_statistics_of_chunks_are_those_of_all_rows(cuts):
    values = np.column_stack(list(CHANNELS.values()))
    first, *others = (ChannelStatistics.of(chunk) for chunk in np.split(values, cuts))
    found = sum(others, first)
    assert found.n_rows == len(values)
    for number, (name, channel) in enumerate(CHANNELS.items()):
        known = channel[~np.isnan(channel)]
        if len(known):
            assert (found.low[number], found.high[number]) == (known.min(), known.max())
            assert found.mean[number] == pytest.approx(known.mean(), rel=1e-12)
            assert found.scale[number] == pytest.approx(known.std(), rel=1e-9, abs=1e-9), name
        assert found.is_flag[number] == np.isin(known, [0, 1]).all()
        assert found.dominating_values(number) == dominating_values(channel), name


def test_without_rows_there_are_no_values():
    nothing = ChannelStatistics.of(np.zeros((0, 2)))
    assert nothing.n_rows == 0
    assert np.isnan(nothing.low).all()
    both = nothing + ChannelStatistics.of(np.array([[1.0, 2.0]]))
    assert (both.low.tolist(), both.mean.tolist()) == ([1, 2], [1, 2])
