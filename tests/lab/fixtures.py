"""Hands the lab to pytest: one lab for all tests, and a way to begin from its beginning."""

import os
from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab
from tests.lab.tools import unusable


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running lab, in whatever state the last test left it."""
    reason = unusable()
    if reason and os.environ.get("EXTENDCTL_REQUIRE_LAB") == "1":
        pytest.fail(f"the lab is required here, but {reason}")
    if reason:
        pytest.skip(reason)
    running = Lab.ensure()
    try:
        running.reset()
        yield running
    finally:
        running.stop()


@pytest.fixture
def fresh_lab(lab: Lab) -> Lab:
    """The lab as the snapshot has it."""
    lab.reset()
    return lab
