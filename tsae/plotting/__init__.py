"""Plots, by scikit-learn's Display convention: made from data or from an estimator, drawn by ``plot``.

Each display keeps what it drew: ``figure_``, and ``ax_`` (one Axes) or ``axes_`` (an array of them).
matplotlib is imported when something is drawn; ``pip install "tsae[plot]"`` installs it.
"""

from tsae.plotting.embedding import EmbeddingDisplay
from tsae.plotting.history import HistoryDisplay
from tsae.plotting.reconstruction import ReconstructionDisplay
from tsae.plotting.timeline import TimelineDisplay

__all__ = ["EmbeddingDisplay", "HistoryDisplay", "ReconstructionDisplay", "TimelineDisplay"]
