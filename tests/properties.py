"""How many examples a property is tried with: few by default, very many with a wish for torture."""

import os

from hypothesis import HealthCheck, settings

TORTURE = os.environ.get("EXTENDCTL_TORTURE") == "1"
_MORE = 50


def examples(number: int) -> settings:
    """The settings for a property; EXTENDCTL_TORTURE=1 makes it fifty times as many."""
    return settings(
        max_examples=number * (_MORE if TORTURE else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
