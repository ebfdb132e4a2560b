"""The peak of this process's memory."""

import resource
import sys
from pathlib import Path


def peak_mib() -> float:
    """Peak of the resident memory so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # where `resource` includes the peak of the parent process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1024)
