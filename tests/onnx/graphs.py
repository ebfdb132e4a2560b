"""Running graphs, and comparing their results."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pandas as pd

from tsae import export_onnx

TOLERANCE = 1e-5
WIDTH = 10
SMALL = {"units": (4, 3), "dilations": 1, "pooling": ("mean", "last"), "epochs": 0, "random_state": 0}


def waves(n):
    rng = np.random.default_rng(0)
    steps = np.arange(n)
    slow = np.stack([np.sin(steps / 4), 100 + 5 * np.cos(steps / 7)], axis=1)
    return slow + 0.1 * rng.normal(size=slow.shape)


def run(model, X, *names):
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, {"windows": X}), strict=True))
    return found[names[0]] if len(names) == 1 else [found[name] for name in names] if names else found


def exported(model, folder, **options):
    export_onnx(model, folder / "model.onnx", **options)
    return (folder / "model.onnx").read_bytes()


def assert_close(found, expected):
    """Up to 1e-5 of their size, or of the size of normal scores, which is 1."""
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def assert_timelines_agree(found, expected):
    numbers = [name for name in expected if name.startswith(("score", "contribution_"))]
    assert list(found) == list(expected)
    pd.testing.assert_frame_equal(found[["series", "time"]], expected[["series", "time"]])
    assert_close(found[numbers], expected[numbers])
