"""What is wrong with a state is said in a sentence with a way out, never in a traceback."""

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from extendctl.database import Database
from extendctl.errors import ConfigError, Damaged, ExtendctlError, Unreachable
from extendctl.integrity import findings
from extendctl.snapshot import closing_database
from extendctl.store import open_store
from tests.test_store import add, wanted

pytestmark = pytest.mark.long

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def fault(url: str, password: str = "", wait: float = 10) -> str:
    with pytest.raises(ConfigError) as error, open_store(url, password, wait=wait) as store:
        store.volumes()
    assert error.value.fault.hint
    return error.value.fault.message


def made(path: Path) -> Path:
    with open_store(f"sqlite:///{path}") as store:
        add(store)
    return path


def altered(path: Path, sql: str) -> Path:
    return changed(made(path), sql)


def changed(path: Path, sql: str) -> Path:
    raw = sqlite3.connect(path)
    raw.execute(sql)
    raw.commit()
    raw.close()
    return path


def test_a_missing_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(f"sqlite:///{tmp_path}/a/b/state.db") as store:
            add(store)
            modes = {
                one.name: stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "a").rglob("*")
            }
    finally:
        os.umask(before)
    assert modes == {"b": 0o700, "state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    made(path).chmod(0o644)
    with open_store(f"sqlite:///{path}") as store:
        add(store, "vol2")
        modes = {stat.S_IMODE(one.stat().st_mode) for one in path.parent.glob("state.db*")}
    assert modes == {0o600}


def test_an_empty_file_is_an_empty_state(path: Path) -> None:
    path.touch()
    with open_store(f"sqlite:///{path}") as store:
        assert store.volumes() == []


def test_a_directory_is_no_state(path: Path) -> None:
    path.mkdir()
    assert fault(f"sqlite:///{path}") == f"the state {path} is a directory, not a database"


def test_a_file_is_no_directory(path: Path) -> None:
    path.touch()
    assert fault(f"sqlite:///{path}/x.db").endswith("cannot be made or opened: Not a directory")


def test_words_are_no_database(path: Path) -> None:
    path.write_text("state: sqlite:///state.db\n" * 100)
    assert f"the state {path} is not a database, or is damaged" in fault(f"sqlite:///{path}")


def test_a_damaged_page_is_found(path: Path) -> None:
    made(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert f"the state {path} is damaged" in fault(f"sqlite:///{path}")


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE bookmarks (url TEXT)")
    raw.close()
    before = path.read_bytes()
    assert fault(f"sqlite:///{path}") == f"the state {path} is a database of another program"
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("0004", "has revision 0004, of a newer extendctl (which knows 0003)"),
        ("1f2e3d", "has revision 1f2e3d, that this extendctl does not know (which knows 0003)"),
        ("0000", "has revision 0000, that this extendctl does not know (which knows 0003)"),
    ],
)
def test_another_revision_is_refused(path: Path, revision: str, said: str) -> None:
    altered(path, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 - ours
    assert fault(f"sqlite:///{path}") == f"the state {path} {said}"


@pytest.mark.parametrize("sql", ["DELETE FROM alembic_version", "DROP TABLE alembic_version"])
def test_a_state_without_revision_is_refused(path: Path, sql: str) -> None:
    altered(path, sql)
    assert fault(f"sqlite:///{path}").endswith("does not say which revision it has")


def test_missing_tables_are_named(path: Path) -> None:
    altered(path, "DROP TABLE deeds")
    assert fault(f"sqlite:///{path}") == f"the state {path} lacks the tables deeds"


def test_a_read_only_state_can_be_read_and_says_so_when_written(path: Path) -> None:
    made(path)
    with open_store(f"sqlite:///file:{path}?mode=ro&uri=true") as store:
        assert [volume.name for volume in store.volumes()] == ["vol1"]
        with pytest.raises(ConfigError, match=f"the state {path} is read-only"):
            store.set_size("vol1", 5)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter: pytest's own are the runner's alone."""
    place = Path(tempfile.mkdtemp(prefix="extendctl-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


AS_NOBODY = """
import json, os, sys
import sqlalchemy.dialects.sqlite  # while it may be read
from extendctl.errors import ExtendctlError
from extendctl.store import open_store
os.setgid(65534)
os.setuid(65534)
try:
    with open_store(sys.argv[1]) as store:
        store.set_size("vol1", 5)
except ExtendctlError as error:
    print(json.dumps([error.fault.code, error.fault.message, error.fault.hint]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize(
    ("file_mode", "directory_mode", "said"),
    [
        (0o600, 0o755, "cannot be opened"),  # another user's state
        (0o644, 0o755, "is read-only, or its directory is"),
        (0o666, 0o755, "is read-only, or its directory is"),  # no -shm can be made
        (None, 0o755, "cannot be made or opened: Permission denied"),
        (None, 0o700, "cannot be made or opened: Permission denied"),
    ],
)
def test_what_may_not_be_touched_is_named(
    open_directory: Path, file_mode: int | None, directory_mode: int, said: str
) -> None:
    path = open_directory / "state.db"
    if file_mode is not None:
        made(path).chmod(file_mode)
    open_directory.chmod(directory_mode)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=REPOSITORY,
    )
    assert done.stderr == ""
    code, message, hint = json.loads(done.stdout)
    assert (code, bool(hint)) == ("config", True)
    assert message.startswith(f"the state {path} {said}")


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:state.db?mode=memory&uri=true",
    ],
)
def test_a_state_in_memory_would_be_forgotten(url: str) -> None:
    assert "must outlive the program" in fault(url)


@pytest.mark.parametrize("query", ["mode=ro", "immutable=1&mode=rw"])
def test_what_sqlite_would_leave_aside_is_refused(query: str, tmp_path: Path) -> None:
    """Without its own form of a URI SQLite opens `x.db?mode=ro` for writing."""
    assert "only in a URI of its own" in fault(f"sqlite:///{tmp_path}/x.db?{query}")
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    said = fault("postgresql:/ops:hunter2@db/state")
    assert said == "the state's URL cannot be read"


def test_an_unknown_kind_of_database_is_named() -> None:
    assert fault("oracle9://db/state") == "extendctl cannot use a database of the kind 'oracle9'"


def test_a_missing_driver_is_named_with_how_to_install_it() -> None:
    program = (
        "import sys; sys.modules['pymysql'] = None\n"  # as if it were not installed
        "from extendctl.errors import ConfigError\n"
        "from extendctl.store import open_store\n"
        "try: open_store('mariadb://ops@db/state', 'hunter2')\n"
        "except ConfigError as error: print(error.fault.message, error.fault.hint)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "needs the Python package pymysql" in said
    assert "pip install 'extendctl[mariadb]'" in said


def test_a_server_that_does_not_answer_is_unreachable() -> None:
    with pytest.raises(ExtendctlError) as error:
        open_store("postgresql://ops@127.0.0.1:1/state", "hunter2", wait=2)
    if _installed("psycopg"):
        assert isinstance(error.value, Unreachable)
    else:
        assert error.value.fault.hint == "pip install 'extendctl[postgres]'"
    assert "hunter2" not in str(error.value.as_dict())


def _installed(package: str) -> bool:
    code = f"import {package}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    return done.returncode == 0


def test_bytes_that_changed_are_damage_and_never_a_bug(path: Path) -> None:
    """Some of what is written is changed, where the tables' rows are: it is read, or refused."""
    with open_store(f"sqlite:///{path}") as store:
        add(store)
        store.open_operation("vol1", wanted())
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    good, outcomes = path.read_bytes(), set()
    pages = [at for at in range(0, len(good), 4096) if b"CREATE" not in good[at : at + 4096]]
    spots = [at + n for at in pages for n in range(4096) if good[at + n]]
    for seed in range(150):
        dice, bad = random.Random(seed), bytearray(good)
        for _ in range(dice.randint(1, 8)):
            bad[dice.choice(spots)] = dice.randrange(256)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        path.write_bytes(bad)
        try:
            with open_store(f"sqlite:///{path}") as store:
                store.volumes()
                store.operations()
                store.records(1)
            outcomes.add("read")
        except ExtendctlError as error:
            outcomes.add(type(error).__name__)
    assert {"read", "Damaged"} <= outcomes


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE volumes SET size = 'much'",
        "UPDATE volumes SET name = x'00ff'",
        "UPDATE volumes SET size = 1.5",
    ],
)
def test_a_value_of_another_kind_is_damage(change: str, path: Path) -> None:
    bad, column = altered(path, change), change.split()[3]
    assert f"volumes.{column} is" in fault(f"sqlite:///{bad}")
    with closing_database(Database(f"sqlite:///{bad}")) as database, pytest.raises(ConfigError):
        findings(database)


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE operations SET decision = '5'", "operations"),
        ("UPDATE operations SET options = '[1]'", "operations"),
        ("UPDATE operations SET error = '7'", "operations"),
        ("UPDATE runs SET given = '7'", "runs"),
        ("UPDATE deeds SET argv = '[1, 2]'", "deeds"),
    ],
)
def test_a_list_or_a_mapping_that_is_another_thing_is_damage(
    change: str, read: str, path: Path
) -> None:
    with open_store(f"sqlite:///{made(path)}") as store:
        begun = store.open_operation("vol1", wanted())
        store.begin_deed(begun, "silo", ("lvextend",), "")
    bad = changed(path, change)
    with open_store(f"sqlite:///{bad}") as store, pytest.raises(Damaged, match=r"is no (list|map)"):
        _ = store.operations() if read == "operations" else getattr(store, read)(begun.id)
    with closing_database(Database(f"sqlite:///{bad}")) as database, pytest.raises(Damaged):
        findings(database)


BY_NOBODY = """
import contextlib, encodings.utf_8_sig, io, os, sys
from extendctl.__main__ import run
from extendctl.cli.session import Session
warm, config, *words = sys.argv[1:]
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    run(["--config", warm, *words], Session())  # imports what nobody may not be able to read
os.setgid(65534)
os.setuid(65534)
sys.exit(run(["--config", config, *words], Session()))
"""
CLOSED = """
state: sqlite:///{top}/closed/state.db
ssh: {{identity_file: {top}/closed/key, known_hosts: {top}/closed/known}}
hosts: {{web1: {{address: 192.0.2.1}}}}
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("state", "check"), 2),
        (("state", "backup", "/nonexistent/file"), 2),
        (("state", "upgrade"), 2),
        (("state", "restore", "{top}/closed/backup"), 2),
        (("state", "restore", "x" * 300), 2),
        (("volume", "list"), 2),
        (("config", "check"), 0),  # it doubts, and says why
    ],
)
def test_a_directory_that_may_not_be_entered_is_no_bug(
    words: tuple[str, ...], status: int, open_directory: Path
) -> None:
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)
    made(closed / "state.db")
    config, warm = open_directory / "config.yaml", open_directory / "warm.yaml"
    for file in (config, warm):
        file.write_text(CLOSED.format(top=open_directory))
        file.chmod(0o644)
    warm.write_text(f"state: sqlite:///{open_directory}/warm.db\n")
    argv = [one.format(top=open_directory) for one in words]
    done = subprocess.run(
        [sys.executable, "-c", BY_NOBODY, str(warm), str(config), *argv],
        capture_output=True, text=True, check=False, timeout=60, cwd=REPOSITORY,
    )  # fmt: skip
    assert (done.returncode, "bug" in done.stderr) == (status, False), done.stderr
    assert "ermission denied" in done.stderr + done.stdout or "too long" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem of a megabyte, in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(words, check=False).returncode:
        pytest.skip("only root can mount a filesystem")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_beneath_a_state_is_called_full(small_disk: Path) -> None:
    path = made(small_disk / "state.db")
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    assert "cannot grow: the filesystem is full" in fault(f"sqlite:///{path}")


def test_a_disk_that_is_mounted_read_only_is_called_that(small_disk: Path) -> None:
    path = made(small_disk / "state.db")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "is on a filesystem that is mounted read-only" in fault(f"sqlite:///{path}")
