"""What a simulated command leaves behind, and the call that a tool is handed."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.world.state import Machine, State


@dataclass(frozen=True)
class Answer:
    """Exit status and words."""

    status: int = 0
    out: str = ""
    err: str = ""


@dataclass(frozen=True)
class Call:
    """A command on a machine, undressed: `argv` without sudo, env and timeout."""

    state: State
    name: str
    user: str
    root: bool
    argv: tuple[str, ...]
    stdin: bytes

    @property
    def machine(self) -> Machine:
        """The machine that it runs on."""
        return self.state.machines[self.name]

    def unknown(self) -> AssertionError:
        """For an argv that the simulation does not know: a test must notice."""
        return AssertionError(f"no simulated {self.argv[0]} knows {self.argv!r} on {self.name}")


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Tool:
    """A simulated program: what it does, whether that changes something, what it needs."""

    run: Handler
    deed: bool = False
    root: bool = True
    version: str = ""


def said(*lines: str) -> str:
    """Lines as a tool prints them."""
    return "".join(f"{line}\n" for line in lines)
