"""Tests in this folder hold the library against PyTorch, live; without it they are skipped."""

import pytest

pytest.importorskip("torch")
