import json
import logging
import os
import subprocess
import sys

import pytest

from tsae.jobs import progress


@pytest.fixture
def said(capsys):
    """What was said on standard error so far, with logging set up anew afterwards."""
    logger = logging.getLogger("tsae")
    kept = logger.handlers[:], logger.level, logger.propagate
    yield lambda: capsys.readouterr().err
    logger.handlers[:], logger.level, logger.propagate = kept


def test_lines_come_at_the_end_and_now_and_then(said, monkeypatch):
    progress.set_up_logging()
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.job_progress("features", 5, 500) as advance:
        for _ in range(5):
            advance(100, 1000)
    lines = said().splitlines()
    assert 1 < len(lines) < 5
    assert lines[-1].startswith("features: part 5/5, 5,000 rows written")
    assert lines[-1].endswith("about 0 s left")


def test_json_lines_carry_facts(said):
    progress.set_up_logging(log_json=True)
    progress.say("skipped", level=logging.WARNING, part="ä.csv")
    line = json.loads(said())
    assert (line["level"], line["message"], line["part"]) == ("warning", "skipped", "ä.csv")


def test_quiet_leaves_warnings(said):
    progress.set_up_logging(quiet=True)
    progress.say("all is well")
    progress.say("beware", level=logging.WARNING)
    assert said() == "beware\n"


def test_a_terminal_shows_a_bar(said, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress.set_up_logging()
    with progress.job_progress("features", 2, 200) as advance:
        progress.say("a line above the bar")
        advance(200, 10)
    shown = said()
    assert "part 1/2" in shown
    assert "a line above the bar" in shown


def test_hushed_keeps_quiet_what_does_not_go_through_python():
    program = """if True:
        import os
        from tsae.jobs.progress import hushed
        with hushed():
            os.write(2, b"noise")
        os.write(2, b"news")"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True).stderr == b"news"
    with pytest.raises(ValueError, match="through"), progress.hushed():
        raise ValueError("through")
    os.write(2, b"")
