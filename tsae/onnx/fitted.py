"""What is made of a fitted estimator is fitted already."""

from __future__ import annotations

from typing import Any, NoReturn


class FittedAlready:
    """Base of estimators that another, fitted one is turned into."""

    _made_of: str  # class of the other one

    def fit(self, X: Any, y: Any = None) -> NoReturn:
        """Refuse: it is fitted already and stays as it is.

        Parameters
        ----------
        X, y : object
            Ignored.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(f"{type(self).__name__} cannot be fitted; fit an {self._made_of} and save it")
