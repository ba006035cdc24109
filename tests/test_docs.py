"""The documents say what is true: their commands exist, their configurations load."""

import re
import shlex
from pathlib import Path

import click
import pytest

from extendctl.cli import main
from extendctl.config_load import load

TOP = Path(__file__).parent.parent
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]
_COMMAND = re.compile(r"(?:^    \$? ?|`)(extendctl [^`\n#]+)", re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Every command line of extendctl in the documents, with the document's name."""
    return [
        (document.name, match.strip())
        for document in DOCUMENTS
        for match in _COMMAND.findall(document.read_text())
    ]


def test_there_are_commands_to_look_at() -> None:
    """A pattern that finds nothing would let every document pass."""
    assert len(commands()) > 10


@pytest.mark.parametrize(("document", "line"), commands())
def test_every_command_in_the_documents_exists(document: str, line: str) -> None:
    """Its words are commands, its options are options."""
    words = shlex.split(line)[1:]
    command: click.Command = main
    context = click.Context(main, info_name="extendctl")
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            known = {name for one in command.get_params(context) for name in one.opts}
            assert word in known, f"{document}: {line}: no option {word}"
            continue
        if isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"{document}: {line}: no command {word}"
            command, context = found, click.Context(found, info_name=word, parent=context)


def configurations() -> list[str]:
    """The configuration files that the README shows."""
    blocks = re.findall(r"(?:^ {7}.*\n|^\n)+", (TOP / "README.md").read_text(), re.MULTILINE)
    return [one for one in blocks if re.search(r"^ {7}(?:hosts|backends):", one, re.MULTILINE)]


def test_the_configuration_of_the_readme_loads(tmp_path: Path) -> None:
    """Whoever copies it gets a configuration without a fault."""
    (block,) = configurations()
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(line.removeprefix("       ") for line in block.splitlines()))
    assert load(path).backends["san"].volume_group == "vg0"
