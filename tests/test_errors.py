"""The errors' codes and exit statuses, against the table that callers rely on."""

import pytest

from extendctl.errors import (
    EXIT_STATUS,
    BackendFailed,
    Busy,
    ConfigError,
    ExtendctlError,
    Fault,
    HostFailed,
    Incomplete,
    Interrupted,
    NotNow,
    NotVerified,
    OutcomeUnknown,
    Refused,
    TakenOver,
    Unreachable,
    Usage,
    first,
    not_found,
)
from extendctl.stack import ToolFailed
from extendctl.transport import LineLost

CONTRACT = {
    2: "usage config",
    3: (
        "not-found policy-denied limit-exceeded capability-missing invalid-status "
        "size-not-greater confirmation-required no-space obstacle host-key"
    ),
    4: "busy unreachable",
    5: "backend-failed host-failed not-verified outcome-unknown",
    130: "interrupted",
}
"""Exit status: the codes that end with it."""

ORDER = (
    "usage not-found invalid-status size-not-greater policy-denied capability-missing "
    "limit-exceeded confirmation-required busy unreachable host-key no-space obstacle"
)
"""The order in which things are checked, and so in which reasons name a result."""


@pytest.mark.parametrize(
    ("code", "status"), [(code, status) for status, row in CONTRACT.items() for code in row.split()]
)
def test_each_code_has_its_exit_status(code: str, status: int) -> None:
    assert Fault(code, "no").exit_status == status


def test_there_are_no_other_codes() -> None:
    assert sorted(EXIT_STATUS) == sorted(" ".join(CONTRACT.values()).split())


def test_of_several_reasons_the_one_checked_first_names_the_result() -> None:
    codes = ORDER.split()
    for place, code in enumerate(codes):
        reasons = [Fault(other, other) for other in reversed(codes[place:])]
        assert first(reasons).code == code
        assert Refused(reasons).fault.code == code
        assert [fault.code for fault in Refused(reasons).faults] == codes[place:]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Usage("x"), 2, "usage"),
        (ConfigError("x"), 2, "config"),
        (Refused([Fault("no-space", "x")]), 3, "no-space"),
        (not_found("x"), 3, "not-found"),
        (NotNow("x"), 4, "busy"),
        (Busy("x"), 4, "busy"),
        (TakenOver("x"), 4, "busy"),
        (Unreachable("x"), 4, "unreachable"),
        (LineLost("x", sent=False), 4, "unreachable"),
        (Incomplete("x"), 5, "host-failed"),
        (HostFailed("x"), 5, "host-failed"),
        (ToolFailed("x"), 5, "host-failed"),
        (BackendFailed("x"), 5, "backend-failed"),
        (NotVerified("x"), 5, "not-verified"),
        (OutcomeUnknown("x"), 5, "outcome-unknown"),
        (Interrupted("x"), 130, "interrupted"),
    ],
)
def test_each_error_ends_the_command_with_its_status(
    error: ExtendctlError, status: int, code: str
) -> None:
    assert (error.exit_status, error.fault.code) == (status, code)


def test_an_error_as_data_has_its_code_its_words_and_all_reasons() -> None:
    faults = [Fault("obstacle", "sdb is offline", "log in", "web1"), Fault("no-space", "full")]
    assert Refused(faults).as_dict() == {
        "code": "no-space",
        "message": "full",
        "hint": "",
        "reasons": [
            {"code": "no-space", "message": "full", "hint": "", "host": None},
            {"code": "obstacle", "message": "sdb is offline", "hint": "log in", "host": "web1"},
        ],
    }


def test_a_configuration_has_all_its_faults_at_once() -> None:
    error = ConfigError(["line 1: no", "line 2: no"], hint="mend them")
    assert [fault.message for fault in error.faults] == ["line 1: no", "line 2: no"]
    assert error.exit_status == 2
    assert str(error) == "line 1: no\nline 2: no"


def test_no_is_not_the_same_as_do_not_know() -> None:
    assert not issubclass(Refused, NotNow)
    assert issubclass(Unreachable, NotNow)
    assert issubclass(OutcomeUnknown, Incomplete)
    assert not issubclass(Unreachable, Incomplete)
