"""What a start of the program imports, looked up in a process of its own; never timed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
HEAVY = ("rich", "yaml", "sqlalchemy", "alembic", "paramiko", "pydantic")

# Runs the program as `python -m extendctl` would, then says what has been imported.
PROBE = """
import json, runpy, sys
sys.argv = ["extendctl", *sys.argv[1:]]
try:
    runpy.run_module("extendctl", run_name="__main__", alter_sys=True)
except SystemExit as end:
    status = end.code or 0
else:
    status = 0
print()
print(json.dumps({"status": status, "modules": sorted(sys.modules)}))
"""


@pytest.fixture(autouse=True)
def _command_line() -> None:
    if (TOP / "extendctl" / "__main__.py").exists():
        return
    if os.environ.get("EXTENDCTL_REQUIRE_LAB") == "1":
        pytest.fail("extendctl/__main__.py does not exist, so there is no program to start")
    pytest.skip("the command line does not exist yet")


def imported(*arguments: str, home: Path | None = None) -> set[str]:
    environment = dict(os.environ)
    if home is not None:
        environment.pop("EXTENDCTL_CONFIG", None)
        environment |= {"XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=TOP,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] == 0, done.stderr
    return set(said["modules"])


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("volume", "--help"), ("volume", "extend", "--help")],
    ids=" ".join,
)
def test_help_costs_nothing_but_click(arguments: tuple[str, ...]) -> None:
    modules = imported(*arguments)
    heavy = sorted(modules.intersection(HEAVY))
    assert "click" in modules
    assert not heavy, f"extendctl {' '.join(arguments)} imports {heavy}, 30 to 200 ms each"


def test_the_version_is_no_question_to_the_installed_packages() -> None:
    reason = "importlib.metadata costs 37 ms; extendctl.__version__ knows"
    assert "importlib.metadata" not in imported("--version"), reason


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_list_costs_the_state_and_nothing_else(tmp_path: Path, form: str) -> None:
    modules = imported("volume", "list", "-o", form, home=tmp_path)
    heavy = sorted(modules.intersection({"rich", "yaml", "alembic", "paramiko", "pydantic"}))
    assert "sqlalchemy" in modules
    assert not heavy, f"volume list on the embedded default imports {heavy}"


def test_a_wrong_size_is_known_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    modules = imported("volume", "extend", "--help", home=tmp_path)
    assert not modules.intersection({"extendctl.store", "extendctl.app"})


ONE_LINE = """
import json, sys
from extendctl.app import Lines
from extendctl.config import Config, HostConfig
Lines(Config(state="sqlite://", hosts={"web1": HostConfig("web1")}, backends={})).machine("web1")
print(json.dumps([name for name, module in sys.modules.items() if module is not None]))
"""


def test_a_line_to_a_machine_does_without_invoke() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ONE_LINE], cwd=TOP, capture_output=True, text=True, check=True
    )
    modules = json.loads(done.stdout)
    assert "paramiko" in modules
    assert "invoke" not in modules, "it is two fifths of paramiko's cost, and is never used"
