"""Policy decides from facts alone: rules, limits, and every reason for and against."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from extendctl.config import Limits, PolicyConfig
from extendctl.model import PoolUsage
from extendctl.policy import EXTEND, EXTEND_ATTACHED, Asker, Request, decide
from extendctl.size import GIB

ALICE = Asker("alice", None, frozenset({"staff", "storage"}))
PLAIN = Request(ALICE, "vol1", "web", attached=True, before=10 * GIB, goal=20 * GIB)
POOL = PoolUsage("key", 100 * GIB, 40 * GIB, 1 << 22)

Rule = str | tuple[str, ...]


def codes(policy: PolicyConfig, request: Request = PLAIN) -> list[str]:
    return [fault.code for fault in decide(policy, request).faults]


def limited(request: Request = PLAIN, **limits: Any) -> list[str]:
    return codes(PolicyConfig(limits=Limits(**limits)), request)


def test_without_a_policy_all_is_allowed() -> None:
    """No section, no rule, no limit: yes, and the reasons say by which rules."""
    decision = decide(PolicyConfig(), PLAIN)
    assert decision.allowed
    assert decision.reasons == (f"{EXTEND} allows alice", f"{EXTEND_ATTACHED} allows alice")


@pytest.mark.parametrize(
    ("rule", "asker", "allowed"),
    [
        ("allow", ALICE, True),
        ("deny", ALICE, False),
        ("deny", Asker("root"), False),
        (("user:alice",), ALICE, True),
        (("user:bob", "group:storage"), ALICE, True),
        (("user:bob", "group:wheel"), ALICE, False),
        (("group:alice",), ALICE, False),
        (("user:storage",), ALICE, False),
        ((), ALICE, False),
        (("user:alice",), Asker("root", "alice"), True),
        (("user:root",), Asker("root", "alice"), False),
        (("user:root",), Asker("root"), True),
    ],
)
def test_a_rule_allows_whom_it_names(rule: Rule, asker: Asker, allowed: bool) -> None:
    """allow, deny, user and group; who called sudo counts, and not root."""
    request = replace(PLAIN, asker=asker)
    assert decide(PolicyConfig(rules={EXTEND: rule}), request).allowed is allowed


def test_the_rule_for_attached_volumes_is_apart() -> None:
    """A deployer can switch off online extension alone; both rules count for an attached one."""
    online = PolicyConfig(rules={EXTEND_ATTACHED: "deny"})
    assert codes(online) == ["policy-denied"]
    assert codes(online, replace(PLAIN, attached=False)) == []
    offline = PolicyConfig(rules={EXTEND: "deny"})
    assert codes(offline) == ["policy-denied"]
    assert codes(offline, replace(PLAIN, attached=False)) == ["policy-denied"]


def test_a_denial_says_who_what_and_by_which_rule() -> None:
    """What is needed to talk to whoever keeps the policy."""
    fault = decide(PolicyConfig(rules={EXTEND: ("group:wheel", "user:bob")}), PLAIN).faults[0]
    assert "alice" in fault.message
    assert "volume:extend: group:wheel, user:bob" in fault.message
    assert fault.hint


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"max_size": 20 * GIB}, True),
        ({"max_size": 20 * GIB - 1}, False),
        ({"max_growth": 10 * GIB}, True),
        ({"max_growth": 10 * GIB - 1}, False),
    ],
)
def test_a_size_limit_is_the_most_that_may_be(limits: dict[str, Any], allowed: bool) -> None:
    """At the limit is allowed, one byte more is not."""
    assert (limited(**limits) == []) is allowed
    assert allowed or limited(**limits) == ["limit-exceeded"]


def test_a_project_has_a_total() -> None:
    """The project's other volumes and this one's goal; other projects and none do not count."""
    policy = PolicyConfig(projects={"web": 50 * GIB})
    assert codes(policy, replace(PLAIN, project_total=30 * GIB)) == []
    over = replace(PLAIN, project_total=30 * GIB + 1)
    assert codes(policy, over) == ["limit-exceeded"]
    assert codes(policy, replace(over, project="db")) == []
    assert codes(policy, replace(over, project=None)) == []


def test_much_more_than_before_wants_confirmation() -> None:
    """More than ten times, unless it was said otherwise: a slip of the finger is not a wish."""
    much = replace(PLAIN, goal=100 * GIB + 1)
    assert limited(much) == ["confirmation-required"]
    assert limited(replace(much, goal=100 * GIB)) == []
    assert limited(replace(much, confirmed=True)) == []
    assert limited(much, confirm_above=20) == []
    assert limited(confirm_above=1.5) == ["confirmation-required"]


@pytest.mark.parametrize(("free", "allowed"), [(20 * GIB, True), (20 * GIB - 1, False)])
def test_a_pool_keeps_some_free(free: int, allowed: bool) -> None:
    """What would be left after this volume has taken its part, in percent of the pool."""
    request = replace(PLAIN, pool=replace(POOL, free=free), needed=10 * GIB)
    assert (limited(request, min_pool_free=10.0) == []) is allowed


def test_a_thin_volume_is_held_against_what_the_pool_has_free_now() -> None:
    """It takes nothing yet, so that its growth is not counted, but the pool's state is."""
    thin = replace(PLAIN, pool=replace(POOL, free=10 * GIB), thin=True, needed=90 * GIB)
    assert limited(thin, min_pool_free=10.0) == []
    assert limited(thin, min_pool_free=10.1) == ["limit-exceeded"]


@pytest.mark.parametrize(
    ("data", "metadata", "faults"),
    [(90.0, 90.0, 0), (90.1, 5.0, 1), (5.0, 90.1, 1), (91.0, 91.0, 2)],
)
def test_a_thin_pool_is_not_filled_to_the_brim(data: float, metadata: float, faults: int) -> None:
    """Data and metadata are two limits: either one full stops the pool."""
    pool = replace(POOL, data_percent=data, metadata_percent=metadata)
    thin = replace(PLAIN, pool=pool, thin=True)
    assert limited(thin, max_thin_data=90.0) == ["limit-exceeded"] * faults
    assert limited(replace(thin, thin=False), max_thin_data=90.0) == []


def test_what_does_not_grow_breaks_no_limit() -> None:
    """A limit that was lowered later does not stand against finishing at the present size."""
    policy = PolicyConfig(
        limits=Limits(5 * GIB, 1, 0.5, 99.0, 1.0), projects={"web": GIB}
    )  # fmt: skip
    same = replace(PLAIN, goal=PLAIN.before, pool=replace(POOL, data_percent=50.0), thin=True)
    assert codes(policy, same) == []
    assert codes(PolicyConfig(rules={EXTEND: "deny"}), same) == ["policy-denied"]


def test_every_reason_is_given() -> None:
    """One no does not hide another; what is for it is told, too."""
    policy = PolicyConfig(
        {EXTEND: "deny", EXTEND_ATTACHED: "deny"},
        Limits(max_size=15 * GIB, max_growth=5 * GIB, confirm_above=1.5, min_pool_free=99.0),
        {"web": GIB},
    )
    decision = decide(policy, replace(PLAIN, pool=POOL, needed=10 * GIB))
    assert [fault.code for fault in decision.faults] == [
        *["policy-denied"] * 2, *["limit-exceeded"] * 4, "confirmation-required",
    ]  # fmt: skip
    assert len([line for line in decision.reasons if line.startswith("no: ")]) == 7


# For all policies ---------------------------------------------------------------------------------

names = some.sampled_from(["alice", "bob", "root", "staff", "storage"])
rules: some.SearchStrategy[Rule] = some.one_of(
    some.sampled_from(["allow", "deny"]),
    some.lists(
        some.builds("{}:{}".format, some.sampled_from(["user", "group"]), names), max_size=4
    ).map(tuple),
)
sizes = some.integers(1, 1 << 50)
percents = some.one_of(some.none(), some.floats(0, 100))
limits = some.builds(
    Limits,
    max_size=some.one_of(some.none(), sizes),
    max_growth=some.one_of(some.none(), sizes),
    confirm_above=some.floats(1, 100),
    min_pool_free=percents,
    max_thin_data=percents,
)
policies = some.builds(
    PolicyConfig,
    rules=some.dictionaries(some.sampled_from([EXTEND, EXTEND_ATTACHED]), rules),
    limits=limits,
    projects=some.dictionaries(some.just("web"), sizes),
)
askers = some.builds(
    Asker, names, some.one_of(some.none(), names), some.frozensets(names, max_size=3)
)
pools = some.builds(
    PoolUsage, some.just("key"), some.integers(0, 1 << 50), some.integers(0, 1 << 50), sizes,
    percents, percents,
)  # fmt: skip
requests = some.builds(
    Request,
    asker=askers,
    volume=some.just("vol1"),
    project=some.sampled_from(["web", "db", None]),
    attached=some.booleans(),
    before=sizes,
    goal=sizes,
    project_total=some.integers(0, 1 << 50),
    confirmed=some.booleans(),
    pool=some.one_of(some.none(), pools),
    thin=some.booleans(),
    needed=some.integers(0, 1 << 50),
)


@given(policies, requests)
def test_a_decision_is_its_reasons(policy: PolicyConfig, request: Request) -> None:
    """Allowed exactly when nothing is against it; the same facts, the same decision."""
    decision = decide(policy, request)
    against = [line for line in decision.reasons if line.startswith("no: ")]
    assert decision.allowed == (not against)
    assert against == [f"no: {fault.message}" for fault in decision.faults]
    assert {fault.exit_status for fault in decision.faults} <= {3}
    assert decide(policy, request) == decision


@given(policies, requests, sizes)
def test_who_may_have_more_may_have_less(policy: PolicyConfig, request: Request, less: int) -> None:
    """A smaller goal, with as much or less taken from the pool, is never refused for its size."""
    smaller = replace(request, goal=min(less, request.goal))
    if decide(policy, request).allowed:
        allowed = decide(policy, smaller).allowed
        assert allowed


@given(policies, requests)
def test_an_attached_volume_is_never_easier(policy: PolicyConfig, request: Request) -> None:
    """The second rule adds to the first one and lifts nothing."""
    if decide(policy, replace(request, attached=True)).allowed:
        assert decide(policy, replace(request, attached=False)).allowed


@given(policies, requests)
def test_confirmation_lifts_nothing_else(policy: PolicyConfig, request: Request) -> None:
    """--yes is an answer to one question only."""
    asked = decide(policy, replace(request, confirmed=False)).faults
    said = decide(policy, replace(request, confirmed=True)).faults
    assert said == tuple(one for one in asked if one.code != "confirmation-required")


@given(policies, requests)
def test_who_called_sudo_is_who_counts(policy: PolicyConfig, request: Request) -> None:
    """Whichever user the process has: the decision is that for the one who called sudo."""
    alice = replace(request, asker=replace(request.asker, user="root", sudo_user="alice"))
    herself = replace(request, asker=replace(request.asker, user="alice", sudo_user=None))
    assert decide(policy, alice) == decide(policy, herself)
