import numpy as np
import pytest

from tests.jobs.conftest import make_table, write_parts
from tsae.jobs.continuation import Carry, continue_series
from tsae.jobs.errors import InputError
from tsae.jobs.grid import CountTask, Grid, count_part
from tsae.jobs.parts import list_parts
from tsae.jobs.spec import Columns, WindowSpec
from tsae.jobs.table_reader import read_rows

COLUMNS = Columns("machine", "time", ("load", "heat"))


def counted(part, spec, folder):
    result = count_part(CountTask(part, spec, folder, None))
    assert result.error is None
    return result.counts


def check_plans(source, spec, folder):
    """Every part must be given the rows that carrying them from part to part gives, and of the same digest."""
    grid, carry = Grid(spec, list(spec.columns.values)), Carry.empty()
    for part in list_parts(source):
        planned = grid.plan().read()
        assert planned.digest == carry.digest
        if carry.rows is not None:
            assert list(planned.rows.names) == list(carry.rows.names)
            np.testing.assert_array_equal(planned.rows.values, carry.rows.values)
        grid.add(counted(part, spec, folder))
        _, carry = continue_series(carry, read_rows(part.path, spec.columns, name=part.name).series, spec, last=False)
    return grid, carry


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_parts", [1, 15])
def test_counts_tell_which_rows_are_carried(tmp_path, seed, n_parts):
    rng = np.random.default_rng(seed)
    spec = WindowSpec(COLUMNS, int(rng.integers(1, 20)), int(rng.integers(1, 25)), ["15min", None, "40min"][seed % 3])
    table = make_table(150, 4, seed)
    table = table[rng.random(len(table)) < 0.9]  # holes of a row
    table = table[~((table["machine"] == "m2") & (np.arange(len(table)) < 200))]  # a series that begins late
    check_plans(write_parts(table, tmp_path / "in", n_parts, ".parquet"), spec, tmp_path / "carry")


@pytest.mark.parametrize(("width", "stride"), [(1, 1), (12, 5), (3, 10)])
def test_counts_of_rows_without_ids_and_times(table, tmp_path, width, stride):
    spec = WindowSpec(Columns(values=("load", "heat")), width, stride)
    check_plans(write_parts(table[["load", "heat"]], tmp_path / "in", 30), spec, tmp_path / "carry")


@pytest.mark.parametrize("columns", [COLUMNS, Columns(values=("load", "heat"))])
def test_a_grid_starts_from_rows_that_are_carried_over(table, tmp_path, columns):
    spec = WindowSpec(columns, 12, 5, "15min" if columns.time else None)
    parts = list_parts(write_parts(table[["load", "heat"]] if columns.time is None else table, tmp_path / "in", 9))
    grid, carry = Grid(spec, ["load", "heat"]), Carry.empty()
    for position, part in enumerate(parts):
        if position == 4:
            carry.save(tmp_path / "carried.npz")
            grid.start(carry, tmp_path / "carried.npz")
        if position >= 4:
            assert grid.plan().read().digest == carry.digest
            grid.add(counted(part, spec, tmp_path / "carry"))
        _, carry = continue_series(carry, read_rows(part.path, columns, name=part.name).series, spec, last=False)


def test_series_end_at_a_hole(table, tmp_path):
    spec = WindowSpec(COLUMNS, 12, 5, "15min")
    source = write_parts(table, tmp_path / "in", 3)
    grid, _ = check_plans(source, spec, tmp_path / "carry")
    grid.end()
    assert grid.plan().read().digest == Carry.empty().digest


def test_times_that_do_not_increase_from_part_to_part_are_refused(table, tmp_path):
    spec = WindowSpec(COLUMNS, 12, 5, "15min")
    first, second, third = list_parts(write_parts(table, tmp_path / "in", 3))
    grid = Grid(spec, ["load", "heat"])
    grid.add(counted(first, spec, tmp_path / "carry"))
    grid.add(counted(third, spec, tmp_path / "carry"))
    with pytest.raises(ValueError, match="times must increase within a series, but in series 'm.' .* comes after"):
        grid.add(counted(second, spec, tmp_path / "carry"))


def test_parts_are_counted_once(table, tmp_path, reads_of):
    spec = WindowSpec(COLUMNS, 12, 5, "15min")
    [part] = list_parts(write_parts(table, tmp_path / "in", 1))
    result = count_part(CountTask(part, spec, tmp_path / "carry", None))
    first, n_reads = result.counts, reads_of(part.path)
    before = n_reads()
    again = count_part(CountTask(part, spec, tmp_path / "carry", result.sums)).counts
    assert n_reads() == before  # neither for its checksum nor for its rows
    assert (again.file, again.names, again.n_rows.tolist()) == (first.file, first.names, first.n_rows.tolist())
    first.file.write_bytes(b"damaged")
    assert counted(part, spec, tmp_path / "carry").n_rows.tolist() == first.n_rows.tolist()


def test_a_part_that_cannot_be_used_is_reported(tmp_path):
    (tmp_path / "part.csv").write_text("machine,time,load,heat\nm0,2024-03-01,1,oops\n")
    [part] = list_parts(tmp_path / "part.csv")
    result = count_part(CountTask(part, WindowSpec(COLUMNS, 12, 5), tmp_path / "carry", None))
    assert "line 2: column 'heat' holds 'oops'" in result.error
    with pytest.raises(InputError, match="oops"):
        read_rows(part.path, COLUMNS)
