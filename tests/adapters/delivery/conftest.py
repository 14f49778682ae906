import pytest


@pytest.fixture
def long_text() -> str:
    return " ".join(f"word{number}" for number in range(60))
