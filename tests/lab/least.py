"""Lets a user of the lab who may not use sudo at all run what the printed file allows."""

import re

from tests.lab.lab import Lab
from tests.lab.program import Program

USER = "nosudo"
_FILE = "/etc/sudoers.d/extendctl"
_LOG = "/var/log/sudo-extendctl"


def empower(lab: Lab, limited: Program) -> None:
    """Installs what `host sudoers` says on every machine, as it is."""
    for machine in lab.names:
        lab.put(machine, "/root/extendctl", limited.run("host", "sudoers", machine).json["text"])
        lab.run(machine, f"visudo -cf /root/extendctl && install -m 0440 /root/extendctl {_FILE}")
        # The journal does not hear of what `sudo -n` refuses; a log of sudo's own does.
        lab.put(machine, f"{_FILE}-log", f"Defaults:{USER} logfile={_LOG}, loglinelen=0\n")
        lab.run(machine, f"chmod 0440 {_FILE}-log")


def tools(limited: Program, machine: str) -> list[str]:
    """The tools that the file of a machine lets root run."""
    rules = limited.run("host", "sudoers", machine).json["rules"]
    return sorted({one["pattern"].removeprefix("^-k 5 ").split()[1] for one in rules})


def log(lab: Lab, machine: str) -> str:
    """All that sudo has written down of USER, with every argument."""
    return lab.run(machine, f"cat {_LOG}").stdout


def denied(lab: Lab, machine: str) -> list[str]:
    """The commands that sudo has written down as not allowed for USER."""
    lines = log(lab, machine).splitlines()
    return [one for one in lines if f" {USER} : " in one and _NO.search(one)]


def allowed(lab: Lab, machine: str) -> list[str]:
    """The arguments of each command that sudo has run for USER."""
    return _RUN.findall(log(lab, machine))


def idle(lab: Lab, limited: Program, machine: str) -> set[str]:
    """The tools of a machine's file that root has not run for USER."""
    run = {words.split()[3] for words in allowed(lab, machine) if words.startswith("-k 5 ")}
    return set(tools(limited, machine)) - run


_NO = re.compile("not allowed|password is required|NOT in sudoers")
_RUN = re.compile(f" {USER} : PWD=[^;]*; USER=root ; COMMAND=/usr/bin/timeout (.*)")
