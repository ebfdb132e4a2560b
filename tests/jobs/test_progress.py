import json
import logging
import os
import subprocess
import sys
import time

import pytest

from tsae.jobs import logs
from tsae.jobs.progress import job_progress


@pytest.fixture
def stderr(capsys):
    """Give a function that returns standard error so far; logging is restored afterwards."""
    logger = logging.getLogger("tsae")
    kept = logger.handlers[:], logger.level, logger.propagate
    yield lambda: capsys.readouterr().err
    logger.handlers[:], logger.level, logger.propagate = kept


def test_lines_are_logged_every_ten_seconds_and_at_the_end(stderr, monkeypatch):
    logs.set_up_logging()
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with job_progress("features", 5, 500) as advance:
        for _ in range(5):
            advance(100, 1000)
    lines = stderr().splitlines()
    assert 1 < len(lines) < 5
    assert lines[-1].startswith("features: part 5/5, 5,000 rows written")
    assert lines[-1].endswith("about 0 s left")


def test_json_lines_have_fields(stderr):
    logs.set_up_logging(log_json=True)
    logs.log_event("skipped", level=logging.WARNING, part="ä.csv")
    line = json.loads(stderr())
    assert (line["level"], line["message"], line["part"]) == ("warning", "skipped", "ä.csv")


def test_quiet_leaves_warnings(stderr):
    logs.set_up_logging(quiet=True)
    logs.log_event("information")
    logs.log_event("a warning", level=logging.WARNING)
    assert stderr() == "a warning\n"


def test_a_terminal_shows_a_bar(stderr, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.set_up_logging()
    with job_progress("features", 2, 200) as advance:
        logs.log_event("a line above the bar")
        advance(200, 10)
    text = stderr()
    assert "part 1/2" in text
    assert "a line above the bar" in text


def test_suppressed_stderr_also_covers_what_does_not_go_through_python():
    program = """if True:
        import os
        from tsae.jobs.logs import suppressed_stderr
        with suppressed_stderr():
            os.write(2, b"noise")
        os.write(2, b"news")"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).stderr == b"news"
    with pytest.raises(ValueError, match="through"), logs.suppressed_stderr():
        raise ValueError("through")
    os.write(2, b"")
