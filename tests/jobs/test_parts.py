import hashlib

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
