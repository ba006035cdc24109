"""What all tests share: marks by directory, time limits, and a way to forbid every skip."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LAB_TIMEOUT = 600  # seconds; the first test to ask for the lab pays for building it

pytest_plugins = ["tests.lab.fixtures", "tests.postgres", "tests.mariadb"]

_skips = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-all",
        action="store_true",
        default=os.environ.get("EXTENDCTL_REQUIRE_LAB") == "1",
        help="a skipped test is a failed test (also: EXTENDCTL_REQUIRE_LAB=1)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_skips] = []


@pytest.hookimpl(tryfirst=True)  # before -m selects by the marks that are set here
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
        if place == "live":
            item.add_marker(pytest.mark.live)
        elif place == "lab":
            item.add_marker(pytest.mark.lab)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(LAB_TIMEOUT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):  # an expected failure is reported as skipped, too
        _forbid_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(collector.config, report)
    return report


def _forbid_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (report.skipped and config.getoption("--require-all")):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    config.stash[_skips].append(f"{report.nodeid}: {reason}")
    report.outcome = "failed"
    report.longrepr = f"skipped, where nothing may be skipped: {reason}"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    skips = config.stash[_skips]
    if skips:
        terminalreporter.section("tests that could not run, and had to", red=True)
        for line in skips:
            terminalreporter.line(line)
