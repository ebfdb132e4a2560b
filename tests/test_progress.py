"""Progress of training: what is shown where."""

import logging
import os
import subprocess
import sys
import textwrap
import types

import numpy as np
import pytest

from tsae import LSTMAutoencoder
from tsae.progress import in_notebook, preparing, progress_bar


@pytest.fixture
def notebook(monkeypatch):
    """A kernel of Jupyter, as far as tsae asks for it: gives what it displays."""
    shown = []

    class Handle:
        def update(self, html):
            shown.append(html)

    def display(html, display_id):
        shown.append(html)
        return Handle()

    kernel = types.SimpleNamespace(kernel=True)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(HTML=str, display=display))
    return shown


def fitted(verbose):
    X = np.random.default_rng(0).normal(size=(16, 5))
    return LSTMAutoencoder(units=2, bidirectional=False, epochs=2, verbose=verbose, random_state=0).fit(X)


def test_a_notebook_shows_a_bar_from_the_first_second_on_and_nothing_else(notebook, capfd, caplog):
    assert in_notebook()
    with caplog.at_level(logging.INFO, logger="tsae"):
        fitted(verbose=1)
    assert "epoch 1/2: preparing" in notebook[0]
    assert notebook[1] == ""  # erased, for the bar of training in its place
    assert "epoch 1/2: preparing" in notebook[2]
    assert "epoch 2/2  loss 0." in notebook[-1]
    assert '<progress value="2" max="2">' in notebook[-1]
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])


def test_nothing_is_shown_unless_asked_for(notebook, capfd):
    fitted(verbose=0)
    assert (notebook, capfd.readouterr()) == ([], ("", ""))


def test_errors_erase_the_bar(notebook):
    with pytest.raises(ValueError, match="no windows"), preparing(1, "auto"):
        raise ValueError("no windows")
    assert ["epoch 1: preparing" in text for text in notebook] == [True, False]
    with pytest.raises(KeyError), progress_bar("job", "{task.fields[part]}", total=2, part="<1>"):
        raise KeyError
    assert "&lt;1&gt;" in notebook[-1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_a_terminal_shows_a_bar_before_tensorflow_is_loaded():
    import pty

    program = """
        import sys
        from tsae.progress import preparing, progress_bar
        from tsae.jobs.logs import suppressed_stderr
        with preparing(1, 6), suppressed_stderr():
            pass
        assert "tensorflow" not in sys.modules
    """
    reading, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], stderr=terminal, env=environment)
    os.close(terminal)
    printed = os.read(reading, 100_000).decode()
    os.close(reading)
    assert done.returncode == 0, printed
    assert "epoch 1/6: preparing" in printed
    assert not in_notebook()
