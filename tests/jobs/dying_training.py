"""Train on windows drawn from a data set; the process kills itself instead of giving a file its name.

python -m tests.jobs.dying_training SOURCE MODEL N   # at the Nth file
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tsae.jobs.memory import reserved, row_bytes
from tsae.jobs.spec import Columns
from tsae.jobs.train import Training, train

TRAINING = Training(
    Columns("machine", "time", ("load", "heat")), width=12, memory=reserved(12) + 200 * row_bytes(2),
    autoencoder={"units": 4, "bidirectional": False, "epochs": 1, "random_state": 0},
)  # fmt: skip


def main() -> None:
    source, model, n = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    replace, count = os.replace, iter(range(1, n))

    def replace_or_die(*names):
        if next(count, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*names)

    os.replace = replace_or_die
    train(source, model, TRAINING)


if __name__ == "__main__":
    main()
