"""Splitters for windows that share rows: the public home of `tsae.data.splitting`."""

from tsae.data.splitting import PurgedKFold, PurgedSeriesKFold, PurgedTimeSeriesSplit, SeriesKFold, holdout

__all__ = ["PurgedKFold", "PurgedSeriesKFold", "PurgedTimeSeriesSplit", "SeriesKFold", "holdout"]
