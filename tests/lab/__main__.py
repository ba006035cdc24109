"""The lab for a person: python -m tests.lab up, down, status, ssh, build, install, config, key."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import cache, person, tools, warm
from tests.lab.volumes import VOLUMES


def main() -> int:
    """Runs one verb; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start the machines in the background and say how to log in")
    verbs.add_parser("down", help="stop them")
    verbs.add_parser("status", help="say what runs and what is missing")
    verbs.add_parser("build", help="build the image and the snapshot, if they are missing")
    verbs.add_parser("install", help="install the Debian packages that the lab needs")
    verbs.add_parser("key", help="print the hash of the recipe, for a cache in CI")
    ssh = verbs.add_parser("ssh", help="log in as root, or run a command")
    ssh.add_argument("machine")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    config = verbs.add_parser(
        "config", help="write a configuration of extendctl for the running lab"
    )
    config.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    match arguments.verb:
        case "install":
            tools.install()
            return 0
        case "status":
            return _status()
        case "down":
            print("stopped" if person.down() else "no lab runs")
            return 0
        case "ssh":
            return _ssh(arguments.machine, arguments.command)
        case "config":
            return _config(arguments.directory)
    return _with_tools(arguments.verb)


def _with_tools(verb: str) -> int:
    """The verbs that need QEMU on this machine."""
    reason = tools.unusable()
    if reason:
        return _complain(reason)
    if verb == "key":
        print(warm.key())
    elif verb == "build":
        print(warm.warm().place)
    else:
        _print_logins(person.up())
    return 0


def _print_logins(lab: person.Running) -> None:
    python = _here(Path(sys.executable))
    print("volumes on silo, the host that uses each, and what stands on it:")
    for one in VOLUMES:
        use = ", ".join(host for host, _ in one.exports) or "silo"
        content = " > ".join((*one.stack, one.filesystem or "nothing"))
        place = f", mounted at {one.mountpoint}" if one.filesystem else ""
        source = one.name if one.kind == "file" else f"{one.group}/{one.name}"
        print(f"  {source:15} {one.size:>5}  {use:11} {content}{place}")
    print("log in as root:")
    for name in lab.logins:
        print(f"  {python} -m tests.lab ssh {name}")
    program = _here(Path(sys.executable).with_name("extendctl"))
    print("begin with (the user is `ops`, with sudo):")
    for words in (
        "host check",
        "volume import xfsvol --backend san --source xfsvol",
        "volume attach xfsvol web1",
        "volume extend xfsvol --size 1G --dry-run",
    ):
        print(f"  {program} --config {lab.directory}/config.yaml {words}")
    print(f"stop it with:\n  make lab-down    (or {python} -m tests.lab down)")


def _here(path: Path) -> Path:
    """A path as one would type it from this directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _status() -> int:
    reason = tools.unusable()
    print(f"this machine: {reason or 'has all that the lab needs'}")
    print(f"cache: {cache.root()}")
    lab = person.running()
    if not lab:
        print("no lab runs in the background")
        return 0
    for name in lab.pids:
        print(f"{name}: {'runs' if lab.alive(name) else 'is gone'}")
    _print_logins(lab)
    return 0


def _ssh(machine: str, command: list[str]) -> int:
    lab = person.running()
    if not lab:
        return _complain("no lab runs; start it with: python -m tests.lab up")
    if machine not in lab.logins:
        return _complain(f"no machine {machine}; there are {', '.join(lab.logins)}")
    return subprocess.run([*lab.logins[machine], *command], check=False).returncode


def _config(directory: Path) -> int:
    lab = person.running()
    if not lab:
        return _complain("no lab runs; start it with: python -m tests.lab up")
    directory.mkdir(parents=True, exist_ok=True)
    print(shutil.copy(Path(lab.directory) / "config.yaml", directory))
    return 0


def _complain(sentence: str) -> int:
    print(f"lab: {sentence}", file=sys.stderr)
    return 1


sys.exit(main())
