"""Progress of long work: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

logger = logging.getLogger("tsae")

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_bar(name: str, *columns: str, total: float, **fields: Any) -> Iterator[Callable[..., None]]:
    """Draw a bar to standard error for as long as the block lasts.

    Parameters
    ----------
    name : str
    *columns : str
        Texts to the right of the bar, in rich's markup; ``{task.fields[...]}`` is replaced by a field.
    total : float
        Value of `completed` at which the bar is full.
    **fields
        First values of the fields.

    Yields
    ------
    callable
        Takes ``completed`` or ``advance``, and new values of the fields.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    texts = (TextColumn(column) for column in columns)
    shown = (TextColumn(name), BarColumn(), *texts, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True)) as bar:
        yield partial(bar.update, bar.add_task(name, total=total, **fields))


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


TrainingProgress = Callable[[int, int, int, Mapping[str, float]], None]


@contextmanager
def training_progress(verbose: int, epochs: int) -> Iterator[TrainingProgress | None]:
    """Give a callback for `Trainer.fit` that shows how training goes.

    On a terminal a bar is drawn to standard error; elsewhere a line is logged (logger "tsae", level INFO) at most
    every ten seconds and at the end.

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
    elif sys.stderr.isatty() and verbose == 1:
        columns = ("epoch {task.fields[epoch]}/{task.total:.0f}", "{task.fields[losses]}")
        with progress_bar("training", *columns, total=epochs, epoch=1, losses="") as update:
            yield lambda epoch, step, n_steps, row: update(
                completed=epoch + step / n_steps, epoch=epoch + 1, losses=_losses(row)
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
