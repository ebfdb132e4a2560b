import warnings

import numpy as np
import pytest

from tsae.deprecation import NOT_GIVEN, deprecated, deprecated_parameter

VERSIONS = {"since": "0.2", "removed_in": "0.4"}


@deprecated(**VERSIONS, instead="`new_name`")
def old_name(value, factor=2):
    """Multiply."""
    return value * factor


def rate(learning_rate=0.1, lr=NOT_GIVEN):
    if deprecated_parameter("lr", lr, **VERSIONS, instead="`learning_rate`"):
        learning_rate = lr
    return learning_rate


def test_a_deprecated_function_works_and_names_its_successor():
    text = r"`old_name` is deprecated since tsae 0.2 and will be removed in 0.4; use `new_name`\."
    with pytest.warns(FutureWarning, match=text):
        assert old_name(3, factor=4) == 12
    assert old_name.__doc__ == "Multiply."


def test_a_deprecated_parameter_works_and_names_its_successor():
    text = r"parameter `lr` is deprecated since tsae 0.2 and will be removed in 0.4; use `learning_rate`\."
    with pytest.warns(FutureWarning, match=text):
        assert rate(lr=0.5) == 0.5


@pytest.mark.parametrize("value", [None, 0, "", np.zeros(3)])
def test_any_value_but_the_default_counts_as_given(value):
    with pytest.warns(FutureWarning):
        assert rate(lr=value) is value


def test_who_does_not_use_it_is_not_warned():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rate() == rate(0.1) == 0.1


@pytest.mark.parametrize("call", [lambda: old_name(1), lambda: rate(lr=1)])
def test_warnings_point_at_the_caller(call):
    with pytest.warns(FutureWarning) as caught:
        call()
    assert [warning.filename for warning in caught] == [__file__]
