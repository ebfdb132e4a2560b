import numpy as np
import pandas as pd
import pytest

from tests.jobs.conftest import COLUMNS, make_table, write_parts
from tsae import make_windows, sample_windows
from tsae.data.splitting import holdout
from tsae.data.times import find_gaps, inferred_max_gaps
from tsae.jobs.coverage import median_step
from tsae.jobs.dataset import read_dataset
from tsae.jobs.errors import JobError
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns
from tsae.jobs.survey import survey

NAMES = {"id_column": "machine", "time_column": "time", "value_columns": ["load", "heat"]}


@pytest.fixture(params=[17, 1_000_000], ids=["small chunks", "whole parts"])
def chunks(request, monkeypatch):
    """Read so many rows of a file at once."""
    for module in ("sampling", "survey"):
        monkeypatch.setattr(f"tsae.jobs.{module}.chunk_rows", lambda n_channels: request.param)


def rows_of(windows):
    """The windows as a table, in an order that does not depend on how they were cut."""
    table = windows.index
    table["values"] = [window.tobytes() for window in windows.gather()]
    return table.sort_values(["series", "start"], ignore_index=True)


# -- the first pass ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_parts", [1, 6])
def test_a_survey_finds_what_the_whole_table_tells(table, tmp_path, n_parts, chunks):
    source = write_parts(table, tmp_path / "in", n_parts)
    found, whole = survey(list_parts(source), COLUMNS), read_dataset(str(source), COLUMNS)
    assert found.n_rows == len(table)
    assert {name: series.n_rows for name, series in found.series.items()} == dict(table["machine"].value_counts())
    assert found.max_gap() == find_gaps(whole.series, None)[:2]
    assert found.median_step() == median_step(whole.series.times, whole.series.offsets)
    assert found.columns == whole.columns
    assert found.channels.mean.tolist() == pytest.approx(table[["load", "heat"]].mean().tolist())


def test_a_survey_tells_sampling_rates_apart(tmp_path, chunks):
    rng = np.random.default_rng(0)
    fast, slow, short = rng.uniform(0.9, 1.1, 5000), rng.uniform(50, 70, 300), np.array([9.0])
    table = pd.concat(
        pd.DataFrame({"id": name, "t": np.cumsum(steps), "x": 1.0})
        for name, steps in (("fast", fast), ("slow", slow), ("short", short))
    )
    columns = Columns("id", "t", ("x",))
    source = write_parts(table.sort_values("t", kind="stable"), tmp_path / "in", 3)
    found, whole = survey(list_parts(source), columns), read_dataset(str(source), columns)
    max_gap, origin, _ = find_gaps(whole.series, None)
    assert found.max_gap()[0] == pytest.approx(max_gap, rel=0.01)  # more than 4,096 different steps are rounded
    assert found.max_gap()[1].startswith("inferred for each series")
    assert origin.startswith("inferred for each series")
    gaps, wanted = found.max_gaps(), inferred_max_gaps(whole.series)
    assert gaps == pytest.approx(wanted, rel=0.01)
    assert set(gaps) == {"fast", "slow", "short"}


def test_rows_without_times_have_no_steps(table, tmp_path):
    source = write_parts(table[["load", "heat"]], tmp_path / "in", 3)
    found = survey(list_parts(source), Columns())
    assert (found.median_step(), found.columns.values) == (None, ("load", "heat"))


# -- drawing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_parts", "suffix"), [(1, ".csv"), (7, ".parquet")])
@pytest.mark.parametrize("options", [{"stride": 1}, {"stride": 5, "consecutive": 7}, {"stride": 20}])
def test_where_there_are_fewer_windows_all_are_drawn(table, tmp_path, chunks, n_parts, suffix, options):
    source = write_parts(table, tmp_path / "in", n_parts, suffix)
    drawn = sample_windows(source, 100_000, 12, **options, **NAMES)
    whole = make_windows(table, 12, options["stride"], **NAMES)
    pd.testing.assert_frame_equal(rows_of(drawn), rows_of(whole[whole.observed]), check_dtype=False)
    assert (drawn.channel_names, drawn.max_gap, drawn.stride) == (whole.channel_names, whole.max_gap, whole.stride)
    assert len(drawn.values) == len(whole.compact().values)  # a row that windows share is held once


def test_without_columns_for_ids_and_times(table, tmp_path, chunks):
    source = write_parts(table[["load", "heat"]], tmp_path / "in", 4)
    drawn = sample_windows(source, 100_000, 12, 5)
    np.testing.assert_array_equal(drawn.gather(), make_windows(table[["load", "heat"]].to_numpy(), 12, 5).gather())


def test_a_sample_is_some_of_the_windows_each_once(table, tmp_path, chunks):
    source = write_parts(table, tmp_path / "in", 5)
    all_rows = rows_of(sample_windows(source, 100_000, 12, **NAMES))
    drawn = rows_of(sample_windows(source, 40, 12, random_state=1, **NAMES))
    assert len(drawn) == 40 == len(drawn.drop_duplicates())
    assert len(drawn.merge(all_rows)) == 40
    assert drawn.equals(rows_of(sample_windows(source, 40, 12, random_state=1, **NAMES)))
    assert not drawn.equals(rows_of(sample_windows(source, 40, 12, random_state=2, **NAMES)))


def test_runs_hold_windows_that_follow_each_other(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 2)
    drawn = sample_windows(source, 30, 12, consecutive=10, **NAMES)
    assert 10 <= len(drawn) <= 30
    neighbours = np.diff(drawn.starts) == 1
    assert neighbours.mean() > 0.6
    assert drawn.overlapping()


def test_held_out_windows_share_no_timestamp_with_the_others(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    drawn = sample_windows(source, 120, 12, consecutive=6, **NAMES)
    sets = []
    for part in holdout(drawn, 0.2, np.random.default_rng(0)):
        rows = drawn[part].starts[:, np.newaxis] + np.arange(12)
        rows = np.unique(rows)
        sets.append(set(zip(drawn.grouped.names_at(rows), drawn.grouped.times_at(rows), strict=True)))
    assert sets[0]
    assert sets[1]
    assert not sets[0] & sets[1]


@pytest.mark.statistics
@pytest.mark.parametrize("consecutive", [1, 5])
def test_every_window_is_as_likely_as_any_other(tmp_path, consecutive):
    source = write_parts(make_table(60, 2), tmp_path / "in", 3)
    n_all = len(sample_windows(source, 100_000, 12, **NAMES))
    counts, n_draws, n_drawn = {}, 100, 0
    for seed in range(n_draws):
        windows = sample_windows(source, n_all // 2, 12, consecutive=consecutive, random_state=seed, **NAMES)
        n_drawn += len(windows)
        for key in zip(*windows.index[["series", "start"]].to_numpy().T, strict=True):
            counts[key] = counts.get(key, 0) + 1
    assert len(counts) == n_all
    expected = n_drawn / n_all
    # Binomial, whose standard deviation is at most sqrt(n_draws) / 2; the largest of a hundred deviations.
    assert max(abs(count - expected) for count in counts.values()) < 4.5 * np.sqrt(n_draws) / 2


@pytest.mark.parametrize("name", ["n_windows", "width", "stride", "consecutive"])
def test_numbers_are_checked_before_reading(name):
    numbers = {"n_windows": 5, "width": 4, name: 0}
    with pytest.raises(ValueError, match=f"{name}=0; it must be an integer of at least 1"):
        sample_windows("nowhere", **numbers)


def test_files_that_cannot_be_used_are_named(table, tmp_path):
    source = write_parts(table, tmp_path / "in", 3)
    with pytest.raises(JobError, match="none of 0 windows"):
        sample_windows(source, 5, 1000, **NAMES)
    with pytest.raises(JobError, match="no times; name the time_column"):
        sample_windows(source, 5, 12, value_columns=["load"], max_gap="1h")
    (source / "part_2.csv").rename(source / "part_9.csv")
    with pytest.raises(JobError, match=r"part_9.csv, read after the parts before it.*comes after"):
        sample_windows(source, 5, 12, **NAMES)
    (source / "part_9.csv").write_text("machine,time,load,heat\nm0,2024-03-20,1,oops\n")
    with pytest.raises(JobError, match=r"part_9.csv, line 2: column 'heat' holds 'oops'"):
        sample_windows(source, 5, 12, **NAMES)
