import numpy as np
import pandas as pd
import pytest

from tests.naive import cut_windows
from tsae.data.frames import series_from_table
from tsae.data.series import series_from_arrays
from tsae.jobs.continuation import Carry, concatenate_series, continue_series
from tsae.jobs.spec import Columns, WindowSpec


def random_rows(rng):
    """A table of up to three series whose rows are mixed, with gaps in time."""
    series = []
    for name in "abc"[: rng.integers(1, 4)]:
        n = int(rng.integers(1, 40))
        time = np.cumsum(rng.choice([1, 1, 1, 1, 1, 5], n))
        series.append(pd.DataFrame({"id": name, "time": time, "x": rng.normal(size=n)}))
    return pd.concat(series).sort_values("time", kind="stable", ignore_index=True)


def as_rows(windows):
    index = windows.index.itertuples(index=False, name=None)
    return [(*place, values[:, 0].tolist()) for place, values in zip(index, windows.gather(), strict=True)]


@pytest.mark.parametrize("seed", range(60))
def test_parts_give_the_windows_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    table = random_rows(rng)
    spec = WindowSpec(
        Columns(), width=int(rng.integers(1, 7)), stride=int(rng.integers(1, 9)), max_gap=2,
        max_gaps={"a": 6.0} if seed % 2 else {},
    )  # fmt: skip
    max_gaps = {"a": 2, "b": 2, "c": 2, **spec.max_gaps}
    whole = cut_windows(table.itertuples(index=False, name=None), spec.width, spec.stride, max_gaps)

    cuts = np.sort(rng.integers(0, len(table) + 1, int(rng.integers(0, 8))))
    parts = [rows for rows in np.split(np.arange(len(table)), cuts) if len(rows)]
    carry, found, final = Carry.empty(), [], []
    for number, positions in enumerate(parts, start=1):
        rows = series_from_table(table.iloc[positions], "id", "time")
        part, carry = continue_series(carry, rows, spec, last=number == len(parts))
        if len(part.new):
            found += as_rows(part.windows[part.new])
        grouped, rows = part.windows.grouped, np.flatnonzero(part.final)
        covering = {place[:3] for place in as_rows(part.windows[part.covering])} if len(part.covering) else set()
        for name, time in zip(grouped.names_at(rows), grouped.times_at(rows), strict=True):
            final.append((name, time))
            assert {w[:3] for w in whole if w[0] == name and w[1] <= time <= w[2]} <= covering
        assert np.all(np.diff(carry.rows.offsets) < 2 * spec.width + spec.stride)
    assert sorted(found) == sorted(whole)
    assert sorted(final) == sorted(table[["id", "time"]].itertuples(index=False, name=None))


def test_rows_without_times_are_numbered_on():
    spec = WindowSpec(Columns(), width=2, stride=1)
    first, carry = continue_series(Carry.empty(), series_from_arrays({"a": np.arange(3.0)}), spec, last=False)
    second, _ = continue_series(carry, series_from_arrays({"b": np.arange(2.0), "a": np.arange(2.0)}), spec, last=True)
    assert second.windows[second.new].index.values.tolist() == [["a", 2, 3], ["a", 3, 4], ["b", 0, 1]]
    assert len(first.new) == 2


def test_rows_that_are_not_later_are_refused():
    spec = WindowSpec(Columns(), width=2, stride=1)
    rows = series_from_table(pd.DataFrame({"time": [1, 2, 3], "x": 0.0}), time_column="time")
    _, carry = continue_series(Carry.empty(), rows, spec, last=False)
    with pytest.raises(ValueError, match="2 comes after 3|3 comes twice"):
        continue_series(
            carry, series_from_table(pd.DataFrame({"time": [3, 4], "x": 0.0}), time_column="time"), spec, last=False
        )


@pytest.mark.parametrize("time", [[1, 2, 3], [0.5, 1.0, 2.0], pd.date_range("2024", periods=3)])
def test_a_carry_comes_back_from_its_file(tmp_path, time):
    rows = series_from_table(pd.DataFrame({"id": list("äba"), "time": time, "x": [1.0, np.nan, 3.0]}), "id", "time")
    _, carry = continue_series(Carry.empty(), rows, WindowSpec(Columns(), 2, 1), last=False)
    carry.save(tmp_path / "carry.npz")
    again = Carry.load(tmp_path / "carry.npz")
    assert again.digest == carry.digest
    assert again.rows.times.equals(carry.rows.times)
    np.testing.assert_array_equal(again.rows.values, carry.rows.values)


def test_digests_tell_carries_apart():
    spec = WindowSpec(Columns(), 2, 1)
    digests = {
        continue_series(Carry.empty(), series_from_arrays({name: np.array(values)}), spec, last=False)[1].digest
        for name, values in [("a", [1.0, 2.0]), ("b", [1.0, 2.0]), ("a", [1.0, 2.5]), ("a", [0.0, 1.0, 2.0])]
    }
    assert len(digests) == 4


def test_tables_are_joined_series_by_series():
    tables = [
        series_from_arrays({"a": np.array([1.0]), "b": np.array([2.0])}),
        series_from_arrays({"c": [3.0], "a": [4.0]}),
    ]
    joined, order = concatenate_series(tables)
    assert joined.values[:, 0].tolist() == [1.0, 4.0, 2.0, 3.0]
    assert joined.names.tolist() == ["a", "b", "c"]
    assert joined.offsets.tolist() == [0, 2, 3, 4]
    assert order.tolist() == [0, 3, 1, 2]
