"""Progress of long work: a bar on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger("tsae")

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def training_progress(verbose: int, epochs: int) -> Iterator[Any]:
    """Give a callback for `Trainer.fit` that shows how training goes; None where `verbose` is 0.

    On a terminal a bar is drawn to standard error; elsewhere a line is logged (logger "tsae", level INFO) at most
    every ten seconds and at the end. ``verbose=2`` logs every epoch.
    """
    if not verbose:
        yield None
    elif sys.stderr.isatty() and verbose == 1:
        with _bar(epochs) as advance:
            yield advance
    else:
        yield _lines(epochs, every_epoch=verbose > 1)


@contextmanager
def _bar(epochs: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("training"), BarColumn(), TextColumn("epoch {task.fields[epoch]}/{task.total:.0f}"),
        TextColumn("{task.fields[losses]}"), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=epochs, epoch=1, losses="")

        def advance(epoch, step, n_steps, row):
            bar.update(task, completed=epoch + step / n_steps, epoch=epoch + 1, losses=_losses(row))

        yield advance


def _lines(epochs: int, every_epoch: bool):
    ensure_log_handler()
    last = time.monotonic()

    def advance(epoch, step, n_steps, row):
        nonlocal last
        ended = "epoch" in row
        due = time.monotonic() - last >= SECONDS_BETWEEN_LINES
        if (ended and (every_epoch or epoch + 1 == epochs)) or due:
            last = time.monotonic()
            logger.info("epoch %d/%d (%.0f %%)  %s", epoch + 1, epochs, 100 * step / n_steps, _losses(row))

    return advance


def ensure_log_handler() -> None:
    """Let `verbose` be seen where the application has set up no logging; its own set-up is left alone."""
    if not logger.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _losses(row: dict) -> str:
    return "  ".join(f"{key} {row[key]:.4g}" for key in ("loss", "val_loss") if key in row)
