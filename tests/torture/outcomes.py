"""A plugin of pytest that notes how each test ended, in the process that ran it."""

from collections.abc import Generator

import pytest

from tests import ledger


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or not report.passed:
        ledger.outcome(item.nodeid, report.outcome)
    return report
