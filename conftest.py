"""What happens around every test, the examples in docstrings among them."""

import pytest

import chainrule
import chainrule.nn.functional  # pytest would take its modules for the functions of the same names


@pytest.fixture(autouse=True)
def _same_random_numbers_in_every_test() -> None:
    chainrule.manual_seed(0)
