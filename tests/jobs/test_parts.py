import hashlib
import logging
import os

import pytest

from tsae.jobs.errors import JobError
from tsae.jobs.parts import checksum, list_parts, natural_key


@pytest.fixture
def folder(tmp_path):
    for name in ("part_10.csv", "part_2.csv", "day 1/part_3.parquet", ".hidden.csv", "_tmp/part_4.csv", "notes.txt"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    return tmp_path / "data"


def names(source):
    return [part.name for part in list_parts(source)]


def test_a_directory_is_searched_in_natural_order_without_hidden_names(folder):
    assert names(folder) == ["day 1/part_3.parquet", "part_2.csv", "part_10.csv"]


def test_a_pattern_and_a_file(folder):
    assert names(f"{folder}/part_*.csv") == ["part_2.csv", "part_10.csv"]
    assert names(f"{folder}/**/*.parquet") == ["day 1/part_3.parquet"]
    assert names(folder / "part_2.csv") == ["part_2.csv"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "no file or directory"),
        ("data/notes.txt", "is not a .csv .*or .parquet file"),
        ("data/*.tsv", r"no \.csv .*or \.parquet file matches"),
        ("empty", r"holds no \.csv .*or \.parquet file"),
    ],
)
def test_sources_without_parts_are_refused(folder, source, message):
    (folder.parent / "empty").mkdir()
    with pytest.raises(JobError, match=message):
        list_parts(folder.parent / source)


def test_files_whose_output_would_collide_are_refused(folder):
    (folder / "part_2.parquet").write_text("x")
    with pytest.raises(JobError, match=r"part_2.csv and part_2.parquet would give output files of the same name"):
        list_parts(folder)


def test_natural_key():
    words = ["b", "a10", "a9b", "a9a", "a", "10", "9"]
    assert sorted(words, key=natural_key) == ["9", "10", "a", "a9a", "a9b", "a10", "b"]


def test_checksum(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert checksum(tmp_path / "file") == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


# -- the same files, whatever the form -----------------------------------------------------------------------------


@pytest.fixture
def warnings_of(monkeypatch, caplog):
    """Give a function that lists the parts of a source, and what was warned about."""
    monkeypatch.setattr(logging.getLogger("tsae"), "propagate", True)

    def listed(source):
        caplog.clear()
        found = names(source)
        return found, [record.getMessage() for record in caplog.records]

    return listed


@pytest.fixture
def linked(folder):
    """A folder with compressed files, linked folders and files, a circle of links and a dead link."""
    (folder / "notes.txt").unlink()
    elsewhere = folder.parent / "elsewhere"
    elsewhere.mkdir()
    for name in ("part_5.csv.gz", "part_6.CSV.zst", ".hidden.csv"):
        (elsewhere / name).write_text("x")
    os.symlink(elsewhere, folder / "day 2")
    os.symlink(elsewhere / "part_5.csv.gz", folder / "part_7.csv.gz")
    os.symlink(folder, folder / "day 1" / "circle")
    os.symlink(folder / "nowhere.csv", folder / "part_8.csv")
    return folder


ALL = [
    "day 1/part_3.parquet",
    "day 2/part_5.csv.gz",
    "day 2/part_6.CSV.zst",
    "part_2.csv",
    "part_7.csv.gz",
    "part_10.csv",
]


@pytest.mark.parametrize("form", ["", "/", "/**", "/**/*"])
def test_a_directory_and_patterns_find_the_same_files(linked, warnings_of, form):
    found, warnings = warnings_of(f"{linked}{form}")
    assert found == ALL
    assert len(warnings) == 1
    assert "links to files that are not there: part_8.csv" in warnings[0]


def test_compressed_files_have_the_name_of_what_they_hold(linked):
    assert [part.stem for part in list_parts(linked)][1:3] == ["day 2/part_5", "day 2/part_6"]
    (linked / "part_7.csv").write_text("x")
    with pytest.raises(JobError, match=r"part_7.csv and part_7.csv.gz would give output files of the same name"):
        list_parts(linked)


def test_what_is_passed_over_is_named(folder, warnings_of):
    for source in (folder, f"{folder}/*"):
        found, [warning] = warnings_of(source)
        assert "part_2.csv" in found
        assert "passed over" in warning
        assert warning.endswith("notes.txt")
    assert warnings_of(f"{folder}/*.csv") == (["part_2.csv", "part_10.csv"], [])


def test_dead_links_are_refused_by_name(linked):
    with pytest.raises(JobError, match="part_8.csv is a link to a file that is not there"):
        list_parts(linked / "part_8.csv")


@pytest.mark.parametrize("source", ["", "  "])
def test_an_empty_source_is_not_the_current_directory(folder, monkeypatch, source):
    monkeypatch.chdir(folder)
    with pytest.raises(JobError, match="the input is empty"):
        list_parts(source)
    assert "part_2.csv" in names(".")
