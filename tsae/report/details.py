"""One event at full resolution: values, their reconstruction, and which channels it comes from."""

from __future__ import annotations

from typing import Any

import numpy as np

from tsae.anomaly.residuals import decoder_output
from tsae.anomaly.scoring import CONTRIBUTION
from tsae.data.windows import Windows
from tsae.report.material import Material
from tsae.report.numbers import number, numbers

MAX_STEPS = 1_000
MAX_CHANNELS = 12
DEFAULT_MARGIN = 50  # rows before and after an event, where the width of the windows is unknown


def detail(material: Material, event: Any) -> dict[str, Any]:
    """Collect values and reconstruction around one event."""
    first, last = material.spans[event.series]
    times = material.axis.numbers[first:last]
    at = [first + int(np.searchsorted(times, time)) for time in material.axis.of([event.start, event.end, event.peak])]
    margin = DEFAULT_MARGIN if material.windows is None else material.windows.width
    begin, end = max(first, at[0] - margin), min(last, at[1] + margin + 1)
    if end - begin > MAX_STEPS:
        begin = max(begin, at[2] - MAX_STEPS // 2)
        end = min(end, begin + MAX_STEPS)
    shares = _shares(material, at[0], at[1] + 1)
    names = material.channel_names or list(shares)
    order = sorted(range(len(names)), key=lambda channel: -shares.get(names[channel], 0.0))[:MAX_CHANNELS]
    is_known = bool(material.channel_names)
    rebuilt = None
    if material.windows is not None and material.detector is not None:
        rebuilt = _reconstruction(material.detector, material.windows, begin, end)
    return {
        "time": numbers(material.axis.numbers[begin:end], digits=15) if is_known else [],
        "channels": [
            {
                "name": names[channel],
                "share": number(shares.get(names[channel], np.nan)),
                "values": numbers(material.values[begin:end, channel]) if is_known else None,
                "reconstruction": None if rebuilt is None else numbers(rebuilt[:, channel]),
            }
            for channel in order
        ],
        "n_channels_left_out": len(names) - len(order),
    }


def _shares(material: Material, begin: int, end: int) -> dict[str, float]:
    """Share of each channel in the score of these rows, for the channels whose contributions are known."""
    columns = [str(column) for column in material.timeline if str(column).startswith(CONTRIBUTION)]
    weight = np.nansum(material.timeline[columns].to_numpy(dtype=np.float64)[begin:end], axis=0)
    weight = weight / weight.sum() if weight.sum() > 0 else weight
    return {column.removeprefix(CONTRIBUTION): float(share) for column, share in zip(columns, weight, strict=True)}


def _reconstruction(detector: Any, windows: Windows, begin: int, end: int) -> np.ndarray:
    """Mean reconstruction of the rows from begin to end, over all windows that cover them."""
    starts, lengths = windows.starts, windows.lengths
    near = windows[(starts < end) & (starts + lengths > begin)]
    near = near[near.observed]
    total, count = np.zeros((end - begin, windows.n_channels)), np.zeros((end - begin, windows.n_channels))
    batch_size = max(1, 2_000_000 // (windows.width * windows.n_channels))
    for first in range(0, len(near), batch_size):
        chunk = near[first : first + batch_size]
        values = decoder_output(detector.autoencoder_, chunk, detector.decoders_[0])
        place = chunk.starts[:, np.newaxis] + np.arange(windows.width) - begin
        inside = (place >= 0) & (place < end - begin)
        known = ~np.isnan(values[inside])
        np.add.at(total, place[inside], np.where(known, values[inside], 0.0))
        np.add.at(count, place[inside], known)
    with np.errstate(invalid="ignore"):
        return total / count
