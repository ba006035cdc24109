"""Commands and groups as this program has them: loaded late, with -o and with exit statuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar, TypeVar

import click

from extendctl import __version__
from extendctl.cli.session import OUTPUTS, Session

STATUSES: Mapping[int, str] = {
    0: "done, or nothing to do",
    1: "a bug in extendctl",
    2: "usage or configuration",
    3: "refused; nothing was changed",
    4: "not now (unreachable, busy); nothing was changed",
    5: "incomplete: something has not followed; `extendctl volume resume NAME`",
    130: "interrupted; an open operation stays open for `extendctl volume resume NAME`",
}

_WIDTH: Mapping[str, Any] = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """Where a command is (`module:name`), and its short help, known without loading it."""

    where: str
    short: str

    def load(self) -> click.Command:
        """The command itself."""
        module, _, name = self.where.partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


def _session(ctx: click.Context) -> Session:
    session: Session = ctx.find_object(Session) or Session()
    return session


def _set_output(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        _session(ctx).output = value


def _set_config(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        _session(ctx).config_file = value


def _set_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(ctx).verbosity = 1


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _session(ctx).verbosity = -1


def _everywhere(*, hidden: bool) -> list[click.Parameter]:
    """Options that are taken before and after the command; shown before it."""
    common: dict[str, Any] = {"expose_value": False, "hidden": hidden}
    return [
        click.Option(["--config"], metavar="FILE", callback=_set_config, is_eager=True,
                     help="The configuration file.", **common),
        click.Option(["-v", "--verbose"], is_flag=True, callback=_set_verbose,
                     help="Tell each event, sizes in bytes.", **common),
        click.Option(["-q", "--quiet"], is_flag=True, callback=_set_quiet,
                     help="No progress.", **common),
    ]  # fmt: skip


def _output_option() -> click.Parameter:
    return click.Option(
        ["-o", "--output"],
        type=click.Choice(OUTPUTS),
        callback=_set_output,
        expose_value=False,
        is_eager=True,
        help="The form of the result.  [default: table]",
    )


def _write_exits(formatter: click.HelpFormatter, statuses: tuple[int, ...]) -> None:
    with formatter.section("EXIT STATUS"):
        formatter.write_dl([(str(status), STATUSES[status]) for status in statuses])


def _write_example(formatter: click.HelpFormatter, example: str) -> None:
    with formatter.section("EXAMPLE"):
        for line in example.splitlines():
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


class Command(click.Command):
    """A command: takes -o, and its help ends with its exit statuses and an example."""

    def __init__(
        self, *args: Any, example: str, statuses: tuple[int, ...] = (0, 1, 2, 3, 4), **kwargs: Any  # noqa: ANN401 - click's own
    ) -> None:  # fmt: skip
        kwargs.setdefault("context_settings", dict(_WIDTH))
        super().__init__(*args, **kwargs)
        self.params += [_output_option(), *_everywhere(hidden=True)]
        self.example = example
        self.statuses = (*statuses, 130)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit statuses and an example."""
        _write_exits(formatter, self.statuses)
        _write_example(formatter, self.example)


def command(name: str, *, example: str, statuses: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Callable[
    [F], Command
]:  # fmt: skip
    """Make a function a command; its docstring is the help."""

    def made(function: F) -> Command:
        decorate = click.command(name, cls=Command, example=example, statuses=statuses)
        found: Command = decorate(function)
        return found

    return made


class Group(click.Group):
    """Commands that are loaded when they are used; their short helps are known before."""

    command_class: ClassVar[type[click.Command]] = Command  # type: ignore[misc]

    def __init__(self, name: str, *, entries: "Mapping[str, Entry | Group]", **kwargs: Any) -> None:  # noqa: ANN401 - click's own
        kwargs.setdefault("context_settings", dict(_WIDTH))
        super().__init__(name, no_args_is_help=True, **kwargs)
        self.entries = entries
        self.params += [_output_option()]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which they are shown."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        entry = self.entries.get(cmd_name)
        return entry.load() if isinstance(entry, Entry) else entry

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or say what was probably meant."""
        name = args[0]
        if name not in self.entries and not name.startswith("-") and not ctx.resilient_parsing:
            close = get_close_matches(name, self.entries)
            meant = f" Did you mean {' or '.join(close)}?" if close else ""
            ctx.fail(f"No such command {name!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands, from what is known without loading them."""
        rows = [
            (name, one.short if isinstance(one, Entry) else str(one.help))
            for name, one in self.entries.items()
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Exit statuses."""
        _write_exits(formatter, tuple(STATUSES))


def top(**kwargs: Any) -> Group:  # noqa: ANN401 - as Group takes them
    """The program itself."""
    group = Group("extendctl", **kwargs)
    version = click.version_option(__version__, message="%(prog)s %(version)s")
    group.params += _everywhere(hidden=False)
    return version(group)
