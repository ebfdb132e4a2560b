"""How fitted estimators apply functions of batches to any number of windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tsae.data.scaling import ChannelScaler
from tsae.data.series import has_missing
from tsae.data.windows import Windows
from tsae.estimators.reading import WindowReader

# Windows are gathered and encoded in chunks of about this many bytes.
CHUNK_BYTES = 32 << 20


class SequenceModel(WindowReader):
    """Base of what computes results from windows: scales them and calls functions of batches, chunk by chunk.

    A subclass gives the functions: `_function`.
    """

    scaler_: ChannelScaler

    def _function(self, name: str, **options: Any) -> Callable[[np.ndarray], Any]:
        """The function of that name: scaled windows, (n_windows, n_timesteps, n_channels) float32 -> result."""
        raise NotImplementedError

    def _large_call(self, name: str, windows: Windows) -> Callable[[np.ndarray], Any] | None:  # noqa: ARG002
        """A form of the function for so many complete windows, not scaled; None where there is none."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is traced or compiled, which is made again when it is needed."""
        state = dict(super().__getstate__())
        state.pop("_batch_functions", None)
        return state

    def _chunks(self, windows: Windows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Positions of windows and their values, chunk by chunk; ragged windows go sorted by length."""
        bytes_each = windows.width * windows.n_channels * 8
        rows = max(128, CHUNK_BYTES // bytes_each // 128 * 128)
        lengths = windows.lengths if windows.is_ragged or self.n_timesteps_ is None else None
        order = np.arange(len(windows)) if lengths is None else np.argsort(lengths, kind="stable")
        for first in range(0, len(windows), rows):
            positions = order[first : first + rows]
            if lengths is None:
                yield positions, windows[first : first + rows].view()
            else:
                yield positions, _to_width(windows.gather(positions), bucket(int(lengths[positions].max())))

    def _apply(self, function: str, windows: Windows, by_step: bool = False, **options: Any) -> Any:
        """Call a function on all windows and concatenate the results (arrays or a dict of them).

        by_step: axis 1 is that of the windows' steps, cut or filled with NaN to the width of the windows.
        options: further arguments of the function.
        """
        collected: dict[str, np.ndarray] = {}
        large = self._large_call(function, windows)
        for positions, values in self._chunks(windows):
            if large is not None and not has_missing(values):
                out = large(values)
            else:
                out = self._function(function, **options)(self.scaler_.transform(values))
            for key, part in (out if isinstance(out, dict) else {"": out}).items():
                if by_step:
                    part = _to_width(part, windows.width)
                if key not in collected:
                    collected[key] = np.empty((len(windows), *part.shape[1:]), part.dtype)
                collected[key][positions] = part
        return collected.get("", collected)

    def _apply_attention(self, function: str, windows: Windows, n_decoded: int, **options: Any) -> np.ndarray:
        """`_apply` for attention weights: (n_windows, n_decoded, n_timesteps), NaN where there are none."""
        found = np.full((len(windows), n_decoded, windows.width), np.nan, np.float32)
        for positions, values in self._chunks(windows):
            scaled = self.scaler_.transform(values)
            weights = self._function(function, **options)(scaled)[:, :n_decoded, : windows.width]
            found[positions, : weights.shape[1], : weights.shape[2]] = weights
        return found


def bucket(n_timesteps: int) -> int:
    """The next power of two: ragged batches of similar widths share one graph."""
    return 1 << max(2, (n_timesteps - 1).bit_length())


def _to_width(values: np.ndarray, width: int) -> np.ndarray:
    """Cut or fill with NaN along the steps."""
    if values.shape[1] >= width:
        return values[:, :width]
    filler = np.full((len(values), width - values.shape[1], values.shape[2]), np.nan, values.dtype)
    return np.concatenate([values, filler], axis=1)
