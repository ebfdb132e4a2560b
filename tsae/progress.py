"""Progress of long work: a bar on a terminal and in notebooks, log lines elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from html import escape
from importlib import import_module
from types import SimpleNamespace
from typing import Any

logger = logging.getLogger("tsae")

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_UPDATES = 0.2  # of a bar in a notebook


def in_notebook() -> bool:
    """Return whether output is shown by Jupyter: IPython runs in a kernel."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return hasattr(get_shell() if get_shell else None, "kernel")


def shows_bar() -> bool:
    """Return whether there is a terminal or a notebook to draw a bar in."""
    return sys.stderr.isatty() or in_notebook()


@contextmanager
def progress_bar(
    name: str, *columns: str, total: float, transient: bool = False, **fields: Any
) -> Iterator[Callable[..., None]]:
    """Draw a bar to standard error, or below the cell of a notebook, for as long as the block lasts.

    Parameters
    ----------
    name : str
    *columns : str
        Texts to the right of the bar, in rich's markup; ``{task.fields[...]}`` is replaced by a field.
    total : float
        Value of `completed` at which the bar is full.
    transient : bool
        Whether the bar is erased at the end.
    **fields
        First values of the fields.

    Yields
    ------
    callable
        Takes ``completed`` or ``advance``, and new values of the fields.
    """
    if in_notebook():
        with _notebook_bar(name, columns, total, transient, fields) as update:
            yield update
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    texts = (TextColumn(column) for column in columns)
    shown = (TextColumn(name), BarColumn(), *texts, TimeElapsedColumn(), TimeRemainingColumn())
    with _copy_of_stderr() as file, Progress(*shown, console=Console(file=file), transient=transient) as bar:
        yield partial(bar.update, bar.add_task(name, total=total, **fields))


@contextmanager
def _copy_of_stderr() -> Iterator[Any]:
    """Open standard error once more: it is redirected while TensorFlow is loaded, and the bar goes on."""
    try:
        copy = os.dup(sys.stderr.fileno())
    except (OSError, AttributeError, ValueError):  # no file of the system
        yield sys.stderr
        return
    with open(copy, "w", encoding=sys.stderr.encoding, errors="replace") as file:
        yield file


@contextmanager
def _notebook_bar(
    name: str, columns: tuple[str, ...], total: float, transient: bool, fields: dict[str, Any]
) -> Iterator[Callable[..., None]]:
    """Draw a bar as HTML; the texts are those of the bar on a terminal."""
    display: Any = import_module("IPython.display")
    task = SimpleNamespace(total=total, completed=0.0, fields=dict(fields))
    began, shown_at = time.monotonic(), -SECONDS_BETWEEN_UPDATES

    def html() -> Any:
        texts = escape("  ".join(column.format(task=task) for column in columns))
        seconds = f"{time.monotonic() - began:.0f} s"
        bar = f'<progress value="{task.completed:g}" max="{task.total:g}"></progress>'
        return display.HTML(f"<div>{escape(name)} {bar} {texts} {seconds}</div>")

    def update(completed: float | None = None, advance: float = 0.0, **new: Any) -> None:
        nonlocal shown_at
        task.completed = (task.completed if completed is None else completed) + advance
        task.fields.update(new)
        if time.monotonic() - shown_at >= SECONDS_BETWEEN_UPDATES or task.completed >= task.total:
            shown_at = time.monotonic()
            handle.update(html())

    handle = display.display(html(), display_id=True)
    try:
        yield update
    finally:
        handle.update(display.HTML("") if transient else html())


class LinePacer:
    """Limits log lines to one every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def is_due(self, *, always: bool = False) -> bool:
        """Return whether to log a line now; if so, the next ten seconds begin."""
        now = time.monotonic()
        due = always or now - self._last >= SECONDS_BETWEEN_LINES
        if due:
            self._last = now
        return due


PREPARING = ": preparing"


@contextmanager
def preparing(verbose: int, epochs: Any) -> Iterator[None]:
    """Show a bar while data are checked and the network is built, before the bar of `training_progress`.

    Parameters
    ----------
    verbose : int
        As of `training_progress`.
    epochs : int or "auto"
        As far as they are known.
    """
    if verbose != 1 or epochs == 0 or not shows_bar():
        yield
        return
    of_all = f"/{epochs}" if isinstance(epochs, int) else ""
    with progress_bar("training", f"epoch 1{of_all}{PREPARING}", total=1, transient=True):
        yield


TrainingProgress = Callable[[int, int, int, Mapping[str, float]], None]


@contextmanager
def training_progress(verbose: int, epochs: int) -> Iterator[TrainingProgress | None]:
    """Give a callback for `Trainer.fit` that shows how training goes.

    On a terminal a bar is drawn to standard error, in a notebook below the cell; elsewhere a line is logged (logger
    "tsae", level INFO) at most every ten seconds and at the end.

    Parameters
    ----------
    verbose : int
        0: nothing is shown, the callback is None. 1: as above. 2: every epoch is logged.
    epochs : int

    Yields
    ------
    callable(epoch, step, n_steps, row) or None
        `row` holds losses, and the key "epoch" at the end of an epoch.
    """
    if not verbose:
        yield None
    elif shows_bar() and verbose == 1:
        column = "epoch {task.fields[epoch]}/{task.total:.0f}{task.fields[losses]}"
        with progress_bar("training", column, total=epochs, epoch=1, losses=PREPARING) as update:
            yield lambda epoch, step, n_steps, row: update(
                completed=epoch + step / n_steps, epoch=epoch + 1, losses=f"  {_losses(row)}"
            )
    else:
        yield _training_lines(epochs, every_epoch=verbose > 1)


def _training_lines(epochs: int, every_epoch: bool) -> TrainingProgress:
    ensure_log_handler()
    pacer = LinePacer()

    def log_step(epoch: int, step: int, n_steps: int, row: Mapping[str, float]) -> None:
        if pacer.is_due(always="epoch" in row and (every_epoch or epoch + 1 == epochs)):
            logger.info("epoch %d/%d (%.0f %%)  %s", epoch + 1, epochs, 100 * step / n_steps, _losses(row))

    return log_step


def ensure_log_handler() -> None:
    """Show what `verbose` logs if the application has not set up logging; its own set-up is left alone."""
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _losses(row: Mapping[str, float]) -> str:
    return "  ".join(f"{key} {row[key]:.4g}" for key in ("loss", "val_loss") if key in row)
