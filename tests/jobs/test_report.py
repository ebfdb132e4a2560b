import pytest

from tsae.jobs.errors import JobError
from tsae.jobs.models import describe_model
from tsae.jobs.report import lines_of, read_parts


def test_a_model_file_is_described_without_being_loaded(autoencoder_file):
    described = describe_model(autoencoder_file.path)
    assert described["kind"] == "LSTMAutoencoder"
    assert described["model_id"] == autoencoder_file.model_id
    assert described["window_spec"]["columns"]["values"] == ["load", "heat"]
    assert "values: load, heat" in lines_of(described)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(JobError, match="there is no model file"):
        describe_model(tmp_path / "none.tsae")
    (tmp_path / "text.tsae").write_text("text")
    with pytest.raises(JobError, match="not a tsae model file"):
        describe_model(tmp_path / "text.tsae")
    with pytest.raises(JobError, match="holds no output of a job"):
        read_parts(tmp_path)
