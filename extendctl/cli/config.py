"""The commands about the configuration."""

import json
from typing import Any

import click

from extendctl.cli.command import command
from extendctl.cli.session import Answer, Session
from extendctl.page import Line, Page, Tone


def _document(text: str) -> Page:
    return [Line(line, raw=True) for line in text.splitlines()]


@command("check", example="extendctl --config new.yaml config check", statuses=(0, 1, 2))
@click.pass_obj
def check(session: Session) -> Answer:
    """Read the configuration and name every fault at once, each with file, line and key."""
    settings = session.settings()
    from extendctl.config_load import doubts

    source = None if settings.source is None else str(settings.source)
    found = doubts(settings)
    data: dict[str, Any] = {
        "ok": True,
        "file": source,
        "hosts": len(settings.hosts),
        "backends": len(settings.backends),
        "errors": [],
        "warnings": found,
    }
    words = f"{source or 'no file, the embedded default'}: well ({_counted(data)})"
    complaints = [Line(f"warning: {one}", Tone.WARN) for one in found]
    return Answer(data, lambda: [Line(words, Tone.GOOD)], complaints)


def _counted(data: dict[str, Any]) -> str:
    hosts, backends = data["hosts"], data["backends"]
    return (
        f"{hosts} {'host' if hosts == 1 else 'hosts'}, "
        f"{backends} {'backend' if backends == 1 else 'backends'}"
    )


@command("show", example="extendctl config show -o json", statuses=(0, 1, 2))
@click.pass_obj
def show(session: Session) -> Answer:
    """Show what holds, with defaults filled in and passwords masked; sizes are in bytes."""
    settings = session.settings()
    from extendctl.config_load import show as shown
    from extendctl.console import as_yaml

    data = shown(settings)
    return Answer(data, lambda: _document(as_yaml(data)))


@command("schema", example="extendctl config schema > extendctl.schema.json", statuses=(0, 1, 2))
def schema() -> Answer:
    """Print the JSON Schema of the configuration file, for editors."""
    from extendctl.config_schema import schema as described

    data = described()
    return Answer(data, lambda: _document(json.dumps(data, indent=2)))
