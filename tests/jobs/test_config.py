import pytest

from tsae.jobs.config import read_config
from tsae.jobs.errors import JobError


def test_other_commands_tables_are_passed_over(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('[train]\nwidth = 48\nvalue-columns = ["a", "b"]\n[features]\nn-jobs = 2\n')
    assert read_config(path, "train", {"width", "value_columns"}) == {"width": 48, "value_columns": ["a", "b"]}
    assert read_config(path, "anomalies", set()) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("width = ", "cannot be read"),
        ("[train]\nwidht = 4", r"\[train\] has no option 'widht'; it has width"),
        ("train = 4", "must be a table"),
        (None, "cannot be read"),
    ],
)
def test_mistakes_are_refused(tmp_path, content, message):
    path = tmp_path / "job.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(JobError, match=message):
        read_config(path, "train", {"width"})
