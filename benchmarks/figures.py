"""What was measured, as tables in Markdown."""

from collections.abc import Iterator, Sequence

from benchmarks import rivals
from benchmarks.contest import Contest
from benchmarks.native import Native
from benchmarks.rivals import typed
from benchmarks.starts import Start


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first column is words, the others are numbers."""
    yield f"| {' | '.join(head)} |"
    yield f"|---|{'---:|' * (len(head) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def of_contest(contest: Contest, runs: int) -> Iterator[str]:
    """Times and ratios, then where the program's time goes."""
    yield f"### {contest.title} ({runs} runs each)"
    yield ""
    ours = contest.series[rivals.PROGRAM]
    rows = []
    for name, series in contest.series.items():
        low, high = series.span
        rows.append((
            name,
            f"{series.wall:.2f}",
            f"{low:.2f}",
            f"{high:.2f}",
            f"{series.cpu:.2f}",
            str(contest.commands[name]),
            f"{ours.wall / series.wall:.2f}",
        ))  # fmt: skip
    head = ("", "median s", "min", "max", "own processor s", "commands", "program is x times")
    yield from table(head, rows)
    tape = contest.tape
    laps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in tape.seconds.items())
    yield (
        f"The program sends {len(tape.calls)} commands, {len(tape.deeds)} of them deeds, on "
        f"{tape.connects} connections, and waits {tape.waits} times. In one recorded run: {laps}."
    )
    yield ""


def of_tape(contest: Contest) -> Iterator[str]:
    """Each command of the recorded run: when it went out, how long it took, what it was."""
    first = min(call.begun for call in contest.tape.calls)
    for call in contest.tape.calls:
        words = " ".join(typed(call.argv)).replace("\n", " ")
        mark = "deed" if call.deed else ""
        took = call.ended - call.begun
        yield f"{call.begun - first:7.2f} +{took:5.2f} {call.host:6} {mark:4} {words[:110]}"
    yield ""


def of_native(native: Native) -> Iterator[str]:
    """What the program's own process costs, machines aside."""
    total = sum(native.imports.values())
    yield f"Imports of `volume extend` by package ({total * 1000:.0f} ms in all):"
    yield ""
    largest = list(native.imports.items())[:9]
    yield from table(("", "ms"), [(name, f"{s * 1000:.0f}") for name, s in largest])
    yield f"{native.modules} modules are loaded; the peak of memory is {native.memory:.0f} MiB."
    yield ""


def of_starts(starts: Sequence[Start], runs: int) -> Iterator[str]:
    """Commands that talk to no machine."""
    yield f"### Commands that talk to no machine ({runs} runs each)"
    yield ""
    rows = []
    for one in starts:
        low, high = one.series.span
        rows.append((
            one.title,
            f"{one.series.wall:.2f}",
            f"{low:.2f}",
            f"{high:.2f}",
            f"{one.series.cpu:.2f}",
            str(one.modules or ""),
            f"{one.memory:.0f}" if one.memory else "",
            ", ".join(one.packages),
        ))  # fmt: skip
    head = ("", "median s", "min", "max", "processor s", "modules", "peak MiB", "packages")
    yield from table(head, rows)
