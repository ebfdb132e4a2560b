"""Results of windows, aligned to the timestamps of their series: the public home of `tsae.data.timeline`."""

from tsae.data.timeline import Timeline, to_timeline

__all__ = ["Timeline", "to_timeline"]
