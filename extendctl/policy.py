"""Decide whether somebody may extend a volume; pure, and every reason is given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from extendctl.config import RULES, Limits, PolicyConfig
from extendctl.errors import Fault
from extendctl.model import PoolUsage
from extendctl.size import Size, human

EXTEND = "volume:extend"
EXTEND_ATTACHED = "volume:extend_attached_volume"
EXTEND_WITH_PAUSE = "volume:extend_with_pause"


_ADVICE = {
    EXTEND_WITH_PAUSE: "its target makes hosts wait for a moment to grow it; "
    f"`{EXTEND_WITH_PAUSE}: allow` under policy.rules permits that",
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants it: the user of the process, the one who called sudo, the groups of the latter."""

    user: str
    sudo_user: str | None = None
    groups: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Whose rights count."""
        return self.sudo_user or self.user


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted. Sizes in bytes, `goal` rounded to extents as soon as that is known.

    `project_total` is what the project's other volumes have; `needed` what the pool would give
    away; `thin` volumes are held against the pool's fill and not against its free space; `pauses`
    means that those who use the volume would have to wait for a moment.
    """

    asker: Asker
    volume: str
    project: str | None
    attached: bool
    before: Size
    goal: Size
    project_total: Size = 0
    confirmed: bool = False
    pool: PoolUsage | None = None
    thin: bool = False
    needed: Size = 0
    pauses: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Every reason for and against; what is against is a fault."""

    reasons: tuple[str, ...]
    faults: tuple[Fault, ...]

    @property
    def allowed(self) -> bool:
        """True when nothing is against it."""
        return not self.faults


def decide(policy: PolicyConfig, request: Request) -> Decision:
    """All rules and limits, none of them skipped because another has said no already."""
    reasons: list[str] = []
    faults: list[Fault] = []
    for verdict in (*_rules(policy.rules, request), *_limits(policy, request)):
        if isinstance(verdict, Fault):
            faults.append(verdict)
            reasons.append(f"no: {verdict.message}")
        else:
            reasons.append(verdict)
    return Decision(tuple(reasons), tuple(faults))


def against_new(policy: PolicyConfig, request: Request) -> tuple[Fault, ...]:
    """The limits that a new volume would exceed; nothing grows, so that growth is not limited."""
    limits = replace(policy.limits, max_growth=None)
    wanted = replace(request, confirmed=True)
    found = _limits(replace(policy, limits=limits), wanted)
    return tuple(one for one in found if isinstance(one, Fault))


def _rules(rules: Mapping[str, str | tuple[str, ...]], request: Request) -> Iterator[str | Fault]:
    for rule in _asked(request):
        value = rules.get(rule, RULES[rule])
        if _permits(value, request.asker):
            yield f"{rule} allows {request.asker.name}"
            continue
        said = value if isinstance(value, str) else ", ".join(value)
        yield Fault(
            "policy-denied",
            f"policy does not allow {request.asker.name} to do {rule} ({rule}: {said})",
            _ADVICE.get(rule, "ask whoever keeps the policy in the configuration"),
        )


def _asked(request: Request) -> Iterator[str]:
    yield EXTEND
    if request.attached:
        yield EXTEND_ATTACHED
    if request.pauses:
        yield EXTEND_WITH_PAUSE


def _permits(value: str | tuple[str, ...], asker: Asker) -> bool:
    if isinstance(value, str):
        return value == "allow"
    mine = {f"user:{asker.name}", *(f"group:{group}" for group in asker.groups)}
    return not mine.isdisjoint(value)


def _limits(policy: PolicyConfig, request: Request) -> Iterator[str | Fault]:
    limits = policy.limits
    growth = request.goal - request.before
    if growth <= 0:  # a limit that was lowered later does not forbid to finish what is there
        return
    if limits.max_size is not None:
        yield _most("max_size", "the volume's new size", request.goal, limits.max_size)
    if limits.max_growth is not None:
        yield _most("max_growth", "the growth", growth, limits.max_growth)
    total = policy.projects.get(request.project or "")
    if total is not None:
        what = f"the total of project {request.project}"
        yield _most("max_total", what, request.project_total + request.goal, total)
    if request.pool is not None:
        yield from _headroom(limits, request, request.pool)
    if request.goal > limits.confirm_above * request.before and not request.confirmed:
        yield Fault(
            "confirmation-required",
            f"{human(request.goal)} is more than {limits.confirm_above:g} times "
            f"the present {human(request.before)} of {request.volume}",
            "if that is meant, say so with --yes",
        )


def _most(limit: str, what: str, value: Size, most: Size) -> str | Fault:
    if value <= most:
        return f"{limit}: {what}, {human(value)}, is within {human(most)}"
    return Fault(
        "limit-exceeded",
        f"{limit}: {what} would be {human(value)} ({value} bytes), "
        f"the limit is {human(most)} ({most} bytes)",
        "choose a smaller size, or have the limit raised",
    )


def _headroom(limits: Limits, request: Request, pool: PoolUsage) -> Iterator[str | Fault]:
    if limits.min_pool_free is not None:
        left = pool.free - (0 if request.thin else request.needed)
        percent = 100.0 * left / pool.size if pool.size else 0.0
        yield _bound(
            percent >= limits.min_pool_free,
            f"min_pool_free: {percent:.1f}% of the pool would be left free, "
            f"at least {limits.min_pool_free:g}% must be",
        )
    if limits.max_thin_data is not None and request.thin:
        for what, used in (("data", pool.data_percent), ("metadata", pool.metadata_percent)):
            if used is not None:
                yield _bound(
                    used <= limits.max_thin_data,
                    f"max_thin_data: the pool's {what} is {used:g}% full, "
                    f"at most {limits.max_thin_data:g}% may be",
                )


def _bound(held: bool, sentence: str) -> str | Fault:  # noqa: FBT001 - a verdict and its words
    if held:
        return sentence
    return Fault("limit-exceeded", sentence, "make room in the pool, or have the limit raised")
