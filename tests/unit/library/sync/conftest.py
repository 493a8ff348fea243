"""What the tests of a transfer's steps share."""

from pathlib import Path

import pytest

from support.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Small maps, bases in files, and two systems that answer from lists."""
    return Stage(tmp_path)
