"""Run the systems and print their table."""

from __future__ import annotations

import argparse
import sys
import time

import benchmarks.reference_systems.autoencoders
import benchmarks.reference_systems.sequences  # noqa: F401 (registers systems)
from benchmarks.reference_systems import SYSTEMS
from benchmarks.reference_systems import __doc__ as description


def main(arguments: list[str] | None = None) -> int:
    keys = sorted(SYSTEMS, key=lambda key: int(key[1:]))
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="S", choices=keys, help="run only these")
    chosen = parser.parse_args(arguments).only or keys
    print("| system | | published | ours | reached | budget | time |\n|---|---|---|---|---|---|---|", flush=True)
    missed = 0
    for key in chosen:
        name, budget, run = SYSTEMS[key]
        began = time.perf_counter()
        for number, row in enumerate(run()):  # the time of a row is that since the system began
            seconds = f"{time.perf_counter() - began:.0f} s"
            lead = (f"{key} {name}", budget) if number == 0 else ("", "")
            reached = "yes" if row.reached else "**no**"
            missed += not row.reached
            print(f"| {lead[0]} | {row.what} | {row.published} | {row.ours} | {reached} | {lead[1]} | {seconds} |",
                  flush=True)  # fmt: skip
    return missed


if __name__ == "__main__":
    sys.exit(main())
