"""What every test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The same examples on every run and every machine, unless somebody goes looking for new ones with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile(
    "ci",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled programs are kept in a folder of this run's own, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHAINRULE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """Random inputs, the same on every run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets, `mnist/train-images-idx3-ubyte.gz` and so on."""
    value = os.environ.get("CHAINRULE_DATA", "")
    if not value:
        pytest.skip("needs real data: set CHAINRULE_DATA to a folder with mnist/ in it")
    folder = Path(value)
    if not folder.is_dir():
        pytest.fail(f"CHAINRULE_DATA={value} is not a folder")
    return folder
