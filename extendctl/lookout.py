"""Look on hosts for volumes by their identities: each machine asked once, all at the same time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from extendctl import questions
from extendctl.compute.sight import Sight, sight
from extendctl.errors import ExtendctlError
from extendctl.extension.means import Desk, attempt, side_by_side
from extendctl.host import Host
from extendctl.model import Attachment, Identity
from extendctl.probe import HostFacts

_AT_HOME = frozenset({"dm-uuid", "file"})
"""Identities that mean something only on the machine that the volume is on."""


@dataclass(frozen=True)
class Lookout:
    """What the hosts of a configuration have, as they answered, and those that did not.

    `home` is the backend's host. Of several names for one machine only the first is looked at,
    or a volume would be attached twice where it is once.
    """

    home: str
    machines: Mapping[str, Host]
    answers: Mapping[str, HostFacts]
    lost: Mapping[str, ExtendctlError] = field(default_factory=dict)

    def sights(self, identity: Identity) -> list[Sight]:
        """The hosts that have a volume. Raises Refused when one has it by several names."""
        found = []
        for name, facts in self._different().items():
            if name == self.home or identity.kind not in _AT_HOME:
                found.append(sight(self.machines[name], facts, identity))
        return [one for one in found if one is not None]

    def missing(self, identity: Identity, attachments: Iterable[Attachment]) -> list[Sight]:
        """The hosts that have a volume and are not among its attachments. Raises as `sights`."""
        hosts = {one.host for one in attachments}
        if hosts and identity.kind in _AT_HOME:
            return []  # it is one machine, whatever it was called when the volume was attached
        known = {_machine(name, self.answers[name]) for name in hosts if name in self.answers}
        return [
            one
            for one in self.sights(identity)
            if one.host not in hosts and _machine(one.host, self.answers[one.host]) not in known
        ]

    def unasked(self, identity: Identity) -> list[str]:
        """The hosts that might have a volume, and did not tell."""
        return [one for one in self.lost if one == self.home or identity.kind not in _AT_HOME]

    def _different(self) -> dict[str, HostFacts]:
        found: dict[tuple[str, ...], str] = {}
        for name, facts in self.answers.items():
            found.setdefault(_machine(name, facts), name)
        return {name: self.answers[name] for name in found.values()}


def look(desk: Desk, home: str, identities: Iterable[Identity]) -> Lookout:
    """Ask all configured hosts that could have one of these volumes."""
    kinds = {one.kind for one in identities}
    others = [] if kinds <= _AT_HOME else [one for one in desk.means.config.hosts if one != home]
    machines = {name: desk.machine(name) for name in ([home, *others] if kinds else [])}
    said = side_by_side(
        lambda machine: attempt(partial(machine.ask, questions.facts())), machines.values()
    )
    answers = dict(zip(machines, said, strict=True))
    return Lookout(
        home,
        machines,
        {name: one for name, one in answers.items() if isinstance(one, HostFacts)},
        {name: one for name, one in answers.items() if isinstance(one, ExtendctlError)},
    )


def elsewhere(identity: Identity, home: Host, machine: Host) -> bool:
    """True when a machine cannot have a volume, because only another one can. Raises as `ask`."""
    if identity.kind not in _AT_HOME or home.name == machine.name:
        return False
    facts = (home.ask(questions.facts()), machine.ask(questions.facts()))
    return _machine(home.name, facts[0]) != _machine(machine.name, facts[1])


def _machine(name: str, facts: HostFacts) -> tuple[str, ...]:
    """What tells machines apart: a cloned one has the same id, one that runs has its own boot."""
    return (facts.machine_id, facts.boot_id) if facts.boot_id else (name,)
