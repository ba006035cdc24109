"""Lets a user of the lab who may not use sudo at all run what the printed file allows."""

import re
from pathlib import Path

from tests.lab import program
from tests.lab.lab import Lab
from tests.lab.program import Program

USER = "nosudo"
_FILE = "/etc/sudoers.d/extendctl"
_LOG = "/var/log/sudo-extendctl"


def empower(lab: Lab, directory: Path) -> Program:
    """The program as USER, after `host sudoers` was installed on every machine as it is."""
    limited = program.bare(lab, directory, user=USER)
    for machine in lab.names:
        lab.put(machine, "/root/extendctl", limited.run("host", "sudoers", machine).json["text"])
        lab.run(machine, f"visudo -cf /root/extendctl && install -m 0440 /root/extendctl {_FILE}")
        # The journal does not hear of what `sudo -n` refuses; a log of sudo's own does.
        lab.put(machine, f"{_FILE}-log", f"Defaults:{USER} logfile={_LOG}, loglinelen=0\n")
        lab.run(machine, f"chmod 0440 {_FILE}-log")
    return limited


def tools(limited: Program, machine: str) -> list[str]:
    """The tools that the file of a machine lets root run."""
    rules = limited.run("host", "sudoers", machine).json["rules"]
    return sorted({one["pattern"].split(" timeout -k 5 ")[1].split()[1] for one in rules})


def denied(lab: Lab, machine: str) -> list[str]:
    """The commands that sudo has written down as not allowed for USER."""
    lines = lab.run(machine, f"cat {_LOG}").stdout.splitlines()
    return [one for one in lines if f" {USER} : " in one and _NO.search(one)]


def allowed(lab: Lab, machine: str) -> int:
    """How many commands sudo has run for USER."""
    return lab.run(machine, f"cat {_LOG}").stdout.count(f" {USER} : PWD=")


_NO = re.compile("not allowed|password is required|NOT in sudoers")
