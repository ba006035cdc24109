"""The command that makes a beginning."""

from pathlib import Path

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session
from extendctl.errors import ConfigError
from extendctl.page import Line, Tone


@command(
    "init", example="extendctl init\nextendctl --config ./lab.yaml init", statuses=(0, 1, 2, 4)
)
@click.pass_obj
def init(session: Session) -> Answer:
    """Write a commented configuration, never over one that is there, and make the state."""
    from extendctl.app import initialise, read_config
    from extendctl.config_load import show

    target = Path(session.config_file) if session.config_file else None
    try:
        path = initialise(target)
    except OSError as failure:
        message = f"the configuration cannot be written: {failure}"
        raise ConfigError(message, hint="name another place with --config") from failure
    state = show(read_config(str(path)))["state"]
    words = [
        Line(f"wrote {path}", Tone.GOOD),
        Line(f"state {state}", Tone.GOOD),
        Line("next: edit it, then `extendctl config check` and `extendctl host check`"),
    ]
    return Answer({"config": str(path), "state": state}, lambda: words)
