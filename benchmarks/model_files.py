"""Hostile model files: damaged and forged ones by the thousand, given to `tsae.load`.

    python -m benchmarks.model_files                    # 12,000 damaged and 3,000 forged files
    python -m benchmarks.model_files --damaged 100000

Prints one row per kind: files, how many were refused with `ModelFileError`, how many loaded as the same model (a zip
has bytes without meaning), how many as another one. A damaged file must never load as another model. A forged one has
all checksums right; it may load, since a checksum is no signature, but only as an estimator.

Ends with an error if anything else happened: another exception, a file written, a process started, an object
unpickled, a network connection (all seen by Python's audit events), or one file that took more than 64 MiB of memory.
(Keras keeps about 0.1 MiB of every network that is built, so that the sum of all files says little.)
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from benchmarks.peak import peak_mib
from tests.io import mutations
from tests.io.files import Watch
from tsae import LSTMAutoencoder, ModelFileError, load
from tsae.io.archive import read_archive

ALLOWED_MIB = 64  # by any one file


def main(arguments: list[str] | None = None) -> None:
    options = _parse(arguments)
    data = _model_file()
    print(f"a model file of {len(data):,} bytes\n")
    load(io.BytesIO(data))  # TensorFlow is imported, and what it does on that occasion is done
    watch, before = Watch(), peak_mib()
    rng = np.random.default_rng(options.seed)
    bad = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        bad += _table("damaged", mutations.damaged(data, options.damaged, rng), data, watch)
        bad += _table("forged", mutations.forged(data, options.forged, rng), data, watch)
        bad += [f"written: {name}" for name in os.listdir(folder)]
        os.chdir(os.path.dirname(folder))
    bad += [f"event: {event} {str(arguments)[:80]}" for event, arguments in watch.seen]
    print(f"peak memory grew by {peak_mib() - before:.0f} MiB in all")
    print(f"foreign code, writes, processes, connections: {len(watch.seen)}")
    if bad:
        sys.exit("\n".join(bad[:20]))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damaged", type=int, default=12_000)
    parser.add_argument("--forged", type=int, default=3_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def _model_file() -> bytes:
    X = np.random.default_rng(0).normal(size=(20, 8, 2))
    model = LSTMAutoencoder(units=(3, 2), decoder=("reconstruction", "imputation"), epochs=1, random_state=0).fit(X)
    with tempfile.TemporaryDirectory() as folder:
        model.save(os.path.join(folder, "model.tsae"))
        with open(os.path.join(folder, "model.tsae"), "rb") as file:
            return file.read()


def _table(title: str, files: Iterator[tuple[str, bytes]], original: bytes, watch: Watch) -> list[str]:
    """Load all files, print what became of them, and return what must not be."""
    model_id = read_archive(io.BytesIO(original)).manifest["model_id"]
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    bad, largest = [], 0.0
    began = time.perf_counter()
    for kind, data in files:
        before = peak_mib()
        outcome = _outcome(data, model_id, watch)
        largest = max(largest, peak_mib() - before)
        counts[kind][outcome] += 1
        if outcome.startswith("!") or (title == "damaged" and outcome == "other"):
            bad.append(f"{title}, {kind}: {outcome}")
    seconds = time.perf_counter() - began
    total = sum(sum(row.values()) for row in counts.values())
    print(f"{title:<32}{'files':>8}{'refused':>9}{'same':>7}{'other':>7}{'wrong':>7}")
    for kind, row in counts.items():
        wrong = sum(n for outcome, n in row.items() if outcome.startswith("!"))
        print(f"{kind:<32}{sum(row.values()):>8}{row['refused']:>9}{row['same']:>7}{row['other']:>7}{wrong:>7}")
    each = 1e3 * seconds / total
    print(f"{total:,} files in {seconds:.0f} s, {each:.1f} ms each, at most {largest:.0f} MiB of memory for one\n")
    return bad + ([f"{title}: one file took {largest:.0f} MiB"] if largest > ALLOWED_MIB else [])


def _outcome(data: bytes, model_id: str, watch: Watch) -> str:
    watch.on = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = load(io.BytesIO(data))
    except ModelFileError:
        return "refused"
    except Exception as error:
        return f"! {type(error).__name__}: {error}"
    finally:
        watch.on = False
    if not isinstance(made, LSTMAutoencoder):
        return f"! loaded a {type(made).__name__}"
    return "same" if read_archive(io.BytesIO(data)).manifest["model_id"] == model_id else "other"


if __name__ == "__main__":
    main()
