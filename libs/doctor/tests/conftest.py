"""The fixtures of the doctor's tests."""

import pytest
from kit.examined import FakeFacts


@pytest.fixture
def well() -> FakeFacts:
    return FakeFacts()
