"""Completion for shells: the script, and the names of volumes."""

import click
from click.shell_completion import get_completion_class

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session
from extendctl.page import Line

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_EXTENDCTL_COMPLETE"


def volume_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of volumes that begin like this; nothing when the state cannot be read."""
    session = ctx.find_object(Session) or Session()
    session.verbosity = -1
    try:
        with session.means() as means:
            names = [volume.name for volume in means.store.volumes()]
    except Exception:  # noqa: BLE001 - in the middle of a line being typed, silence is all there is
        return []
    return [name for name in names if name.startswith(incomplete)]


@command(
    "completion",
    statuses=(0, 1, 2),
    example='eval "$(extendctl completion bash)"        # in ~/.bashrc',
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Answer:
    """Print a script that makes SHELL complete commands, options and names of volumes."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"no completion for {shell}")
    from extendctl.cli import main

    script = found(main, {}, "extendctl", _VARIABLE).source()
    data = {"shell": shell, "script": script}
    return Answer(data, lambda: [Line(line, raw=True) for line in script.splitlines()])
