"""The state is copied, put back, moved and brought up to date, and nothing of it is lost."""

import resource
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect

from extendctl.database import Database
from extendctl.errors import Busy, ConfigError, Damaged
from extendctl.integrity import findings
from extendctl.model import OperationState
from extendctl.owner import me
from extendctl.restoration import restore
from extendctl.schema import upgrade
from extendctl.size import GIB
from extendctl.snapshot import save as save_database
from extendctl.snapshot import sealed
from extendctl.stack import Measured
from extendctl.store import Store, open_store
from extendctl.tables import REVISION, metadata
from tests.postgres import Server, programs
from tests.test_store import Lv, add, wanted
from tests.test_store_races import PROCESSES, contend

pytestmark = pytest.mark.slow

DATA = Path(__file__).parent / "data"
DEAD = replace(me(), pid=2**22 + 1)


@contextmanager
def database(url: str) -> Iterator[Database]:
    found = Database(url)
    try:
        yield found
    finally:
        found.close()


def fill(url: str) -> None:
    """Volumes, an attachment, a finished operation, and one whose owner is dead."""
    with open_store(url, create=True) as store:
        for name in ("vol1", "vol2", "grün"):
            add(store, name)
        store.attach("vol1", "web1", device="/dev/sdb", size=GIB)
        done = store.open_operation("vol1", wanted())
        store.measured(done, Measured(Lv(), GIB, 2 * GIB))
        store.trunk_settled(done, 2 * GIB)
        store.close_operation(done, OperationState.DONE)
        store.open_operation("vol2", wanted(owner=DEAD))


def contents(url: str) -> dict[str, list[Any]]:
    """All rows of all tables of a state."""
    with database(url) as found, found.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(
                table.select().order_by(*table.primary_key)
            )]
            for table in metadata.sorted_tables
        }  # fmt: skip


def save(url: str, path: Path) -> Path:
    with database(url) as found:
        save_database(found, path)
    return path


def put_back(url: str, path: Path) -> Any:
    with database(url) as found:
        return restore(found, path)


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Another empty state, of the kind that the test names."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/other.db"
    server: Server = request.getfixturevalue("postgres")
    return server.database()


# Backup and restore --------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["sqlite", "postgresql"], indirect=True)
def test_a_backup_of_any_state_makes_any_other_the_same(
    url: str, other: str, tmp_path: Path
) -> None:
    fill(url)
    copy = save(url, tmp_path / "copy")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.glob("copy*")] == ["copy"]
    done = put_back(other, copy)
    assert (done.volumes, done.operations, done.unfinished, done.kept) == (3, 2, 1, None)
    assert contents(other) == contents(url)
    with open_store(other) as store:
        assert store.volume("vol2").status == "extending"
        assert add(store, "vol4").id == 4  # a server counts on from what was put in
        assert store.open_operation("vol4", wanted()).id == 3


@pytest.mark.parametrize("other", ["sqlite", "postgresql"], indirect=True)
def test_a_state_moves_with_one_command(tmp_path: Path, other: str) -> None:
    """No backup in between: what is still in the -wal comes along."""
    mine = f"sqlite:///{tmp_path}/state.db"
    fill(mine)
    with open_store(mine) as store:
        add(store, "late")
        assert (tmp_path / "state.db-wal").stat().st_size > 0
        done = put_back(other, tmp_path / "state.db")
    assert (done.seal, done.volumes) == (None, 4)
    assert contents(other) == contents(mine)


def test_what_was_there_is_kept(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    fill(url)
    copy = save(url, tmp_path / "copy")
    with open_store(url) as store:
        add(store, "new")
    before = contents(url)
    kept = put_back(url, copy).kept
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with open_store(url) as store:
        assert "new" not in [one.name for one in store.volumes()]
    put_back(url, kept)
    assert contents(url) == before


def test_a_backup_is_never_written_over_a_file(url: str, tmp_path: Path) -> None:
    fill(url)
    there = tmp_path / "there"
    there.write_text("precious")
    with pytest.raises(ConfigError, match="there cannot be made: File exists"):
        save(url, there)
    assert there.read_text() == "precious"


def test_a_backup_writes_over_no_file_beside_it(tmp_path: Path) -> None:
    """Whatever name it has until it is whole; and it is private, whoever made a file before."""
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    place = tmp_path / "place"
    place.mkdir()
    for name in ("copy.partial", "copy-journal", "copy.partial-journal"):
        (place / name).write_text("precious")
        (place / name).chmod(0o666)
    copy = save(url, place / "copy")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    others = [one.read_text() for one in place.iterdir() if one != copy]
    assert others == ["precious"] * 3


def test_a_backup_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("DELETE FROM alembic_version")
    raw.close()
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(TypeError):
        save(url, place / "copy")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("room", [40_000, 70_000])  # bytes; its -shm alone takes 32 KiB
def test_a_backup_without_room_names_its_own_place(room: int, tmp_path: Path) -> None:
    """It is not the state that cannot grow; nothing is left of the backup."""
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    place = tmp_path / "place"
    place.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(ConfigError, match=r"the backup .*/place/copy cannot be written: "):
            save(url, place / "copy")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(place.iterdir()) == []


def test_a_backup_that_cannot_be_looked_at_in_private_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy, before = save(url, tmp_path / "copy"), contents(url)
    monkeypatch.setattr("tempfile.tempdir", "/proc/version")  # the library's own setting, for all
    with pytest.raises(ConfigError, match="no place to look at a copy of the backup"):
        put_back(url, copy)
    assert contents(url) == before


def test_a_server_whose_state_cannot_be_kept_aside_is_not_changed(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    fill(url)
    copy, before = save(url, tmp_path / "copy"), contents(url)
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/version")
    with pytest.raises(ConfigError, match="no backup can be kept in /proc/version"):
        put_back(url, copy)
    assert contents(url) == before


def damage(copy: Path) -> None:
    with copy.open("r+b") as file:
        data = file.read()
        place = data.index(b"vg0/vol1")
        file.seek(place)
        file.write(b"vg0/vol9")


def cut_short(copy: Path) -> None:
    with copy.open("r+b") as file:
        file.truncate(copy.stat().st_size // 2)


def changed(copy: Path) -> None:
    with sqlite3.connect(copy) as raw:
        raw.execute("UPDATE volumes SET size = 5")
    raw.close()


def newer(copy: Path) -> None:
    with sqlite3.connect(copy) as raw:
        raw.execute("DROP TABLE backup")
        raw.execute("UPDATE alembic_version SET version_num = '0999'")
    raw.close()


def orphaned(copy: Path) -> None:
    with sqlite3.connect(copy) as raw:
        raw.execute("DROP TABLE backup")
        raw.execute("DELETE FROM volumes WHERE name = 'vol1'")
    raw.close()


def of_another_program(copy: Path) -> None:
    copy.unlink()
    with sqlite3.connect(copy) as raw:
        raw.execute("CREATE TABLE bookmarks (url TEXT)")
    raw.close()


def words(copy: Path) -> None:
    copy.write_text("words" * 1000)


def emptied(copy: Path) -> None:
    copy.write_bytes(b"")


FAULTY: dict[Callable[[Path], None], str] = {
    damage: "its checksum differs",
    cut_short: "is damaged",
    changed: "its checksum differs",
    newer: "of a newer extendctl",
    orphaned: "a row of attachments belongs to no volumes",
    of_another_program: "has no tables yet",
    words: "is not a database, or is damaged",
    emptied: "has no tables yet",
    Path.unlink: "does not exist",
}


@pytest.mark.parametrize(
    ("fault", "said"), FAULTY.items(), ids=lambda one: getattr(one, "__name__", "")
)
def test_what_cannot_be_trusted_is_not_restored(
    fault: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy = save(url, tmp_path / "copy")
    fault(copy)
    before = contents(url)
    with pytest.raises(ConfigError, match=said) as error:
        put_back(url, copy)
    assert error.value.fault.hint
    assert str(copy) in str(error.value)
    assert contents(url) == before
    assert list(tmp_path.glob("*replaced*")) == []


def test_nothing_is_restored_under_a_living_owner(url: str, tmp_path: Path) -> None:
    fill(url)
    copy = save(url, tmp_path / "copy")
    with open_store(url) as store:
        op = store.open_operation("vol1", wanted(owner=me(), expected_size=2 * GIB))
        with pytest.raises(Busy, match=f"operation {op.id} of vol1 is at work"):
            put_back(url, copy)
        store.heartbeat(op)
        assert list(tmp_path.glob("**/*replaced*")) == []


def test_a_state_does_not_move_away_under_a_living_owner(tmp_path: Path) -> None:
    mine = f"sqlite:///{tmp_path}/state.db"
    with open_store(mine) as store:
        add(store)
        store.open_operation("vol1", wanted())
    with pytest.raises(Busy, match="of vol1 is at work"):
        put_back(f"sqlite:///{tmp_path}/other.db", tmp_path / "state.db")


def test_the_state_is_not_its_own_backup(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    (tmp_path / "link").symlink_to(tmp_path / "state.db")
    with pytest.raises(ConfigError, match="is the state itself"):
        put_back(url, tmp_path / "link")


@pytest.mark.parametrize("harm", [b"\xff", b"words "])
def test_a_damaged_state_is_kept_byte_for_byte(harm: bytes, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    url = f"sqlite:///{path}"
    fill(url)
    copy = save(url, tmp_path / "copy")
    before = contents(url)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(0 if harm.isalpha() else 4096)
        file.write(harm * ((size - 4096) // len(harm)))
    harmed = path.read_bytes()
    kept = put_back(url, copy).kept
    assert kept.read_bytes() == harmed
    assert contents(url) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_state_stays_where_it_is_when_nothing_can_take_its_place(tmp_path: Path) -> None:
    """There is room for a copy of the backup, but not for the journal of as much, which is more."""
    path = tmp_path / "state.db"
    url = f"sqlite:///{path}"
    with open_store(url) as store:
        store.add_volume("vol1", backend="fast", source="x" * (20 << 20), identity="1", size=GIB)
    copy, harmed = save(url, tmp_path / "copy"), b"words " * 1000
    path.write_bytes(harmed)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (copy.stat().st_size, hard))
    try:
        with pytest.raises(ConfigError):
            put_back(url, copy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == harmed
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy", "state.db"]
    assert put_back(url, copy).kept.read_bytes() == harmed


@pytest.mark.parametrize(
    "harm",
    ["UPDATE volumes SET source = x'ff'", "UPDATE volumes SET source = CAST(x'ff' AS TEXT)"],
)
def test_a_damaged_value_is_no_bug_and_gives_way_to_a_backup(harm: str, tmp_path: Path) -> None:
    """Bytes where a text was, or a text that is no UTF-8: no backup is made of it, but over it."""
    path = tmp_path / "state.db"
    url = f"sqlite:///{path}"
    fill(url)
    copy, before = save(url, tmp_path / "copy"), contents(url)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(harm)
    with pytest.raises(Damaged):
        save(url, tmp_path / "another")
    assert not (tmp_path / "another").exists()
    harmed = path.read_bytes()
    assert put_back(url, copy).kept.read_bytes() == harmed
    assert contents(url) == before


def test_a_server_that_lacks_a_table_is_left_to_its_own_tools(
    postgres: Server, tmp_path: Path
) -> None:
    url = postgres.database()
    fill(url)
    copy = save(url, tmp_path / "copy")
    with database(url) as found, found.writing() as connection:
        connection.exec_driver_sql("DROP TABLE deeds")
    with pytest.raises(ConfigError, match="lacks the tables deeds"):
        put_back(url, copy)


def test_a_database_that_keeps_something_else_is_not_believed(tmp_path: Path) -> None:
    """A trigger makes of each size another: nothing is committed."""
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy = save(url, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute(
            "CREATE TRIGGER other AFTER INSERT ON volumes BEGIN "
            "UPDATE volumes SET size = size + 1 WHERE id = new.id; END"
        )
    raw.close()
    before = contents(url)
    with pytest.raises(ConfigError, match="does not give back the volumes that were written"):
        put_back(url, copy)
    assert contents(url) == before


@pytest.mark.parametrize("name", ["a b?c%41#d", "grün", "-v", "it's;--"])
def test_a_backup_may_be_called_anything(name: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy = save(url, tmp_path / name)
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(name)] == [name]
    assert put_back(f"sqlite:///{tmp_path}/other.db", copy).volumes == 3


def test_a_newer_state_is_not_replaced(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy = save(url, tmp_path / "copy")
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0999'")
    raw.close()
    with pytest.raises(ConfigError, match="has revision 0999, of a newer extendctl"):
        put_back(url, copy)


def test_a_backup_that_is_used_as_a_state_can_move_on(tmp_path: Path) -> None:
    """Its seal is of what it was: it goes with the first program that opens it as its state."""
    url = f"sqlite:///{tmp_path}/state.db"
    fill(url)
    copy = save(url, tmp_path / "copy")
    assert sealed(copy) is not None
    with open_store(f"sqlite:///{copy}") as store:
        add(store, "new")
    assert put_back(f"sqlite:///{tmp_path}/other.db", copy).volumes == 4


# Integrity -----------------------------------------------------------------------------------


def test_nothing_is_wrong_with_what_the_program_wrote(url: str) -> None:
    fill(url)
    with database(url) as found:
        assert findings(found) == []


WRONG = {
    "DELETE FROM records; DELETE FROM deeds; DELETE FROM attachments; DELETE FROM volumes": (
        "2 rows of operations belong to no volumes"
    ),
    "UPDATE operations SET open_volume = 1 WHERE id = 1": "operation 1 is done and holds 1",
    "UPDATE operations SET open_volume = NULL": "operation 2 is open and holds no volume",
    "UPDATE operations SET state = 'resting' WHERE id = 1": "has the state 'resting'",
    "UPDATE operations SET volume = 'vol3' WHERE id = 1": "is of vol3 by name and of vol1 by n",
    "UPDATE operations SET state = 'done'": "operation 2 is done and holds 2",
}


@pytest.mark.parametrize("sql", WRONG)
def test_what_contradicts_itself_is_found(sql: str, url: str) -> None:
    fill(url)
    harm(url, sql)
    with database(url) as found:
        assert WRONG[sql] in "; ".join(findings(found))


BLIND = {
    "postgresql": ("SET session_replication_role = replica", "RESET session_replication_role"),
    "mariadb": ("SET foreign_key_checks = 0", "SET foreign_key_checks = 1"),
}


def harm(url: str, sql: str) -> None:
    """Change a state behind the database's back, its references not looked at."""
    with database(url) as found:
        if found.sqlite:
            with sqlite3.connect(str(found.file)) as raw:
                raw.executescript(sql)
            raw.close()
            return
        with found.writing() as connection:
            blind, seeing = BLIND[found.kind]
            for one in (blind, *sql.split("; "), seeing):
                connection.exec_driver_sql(one)


def test_damage_that_a_command_did_not_meet_is_found(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_store(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as raw:
        raw.executemany(
            "INSERT INTO volumes (name, backend, source, source_identity, size, created_at)"
            " VALUES (?, 'b', ?, ?, 1073741824, '2026-01-01 00:00:00.000000')",
            ((f"v{n:06}", f"vg0/v{n}", f"lv:{n}") for n in range(500)),
        )
    raw.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - size % 4096 - 4096)
        file.write(b"\xff" * 4096)
    with database(f"sqlite:///{path}") as found, pytest.raises(ConfigError, match="is damaged"):
        findings(found)


# Earlier revisions ---------------------------------------------------------------------------


def earlier_sqlite(path: Path, revision: str) -> str:
    with sqlite3.connect(path) as raw:
        raw.executescript((DATA / f"state-{revision}-sqlite.sql").read_text())
    raw.close()
    return f"sqlite:///{path}"


def earlier_postgres(server: Server, revision: str) -> str:
    url = server.database()
    name = url.split("/")[3].partition("?")[0]
    psql = programs() / "psql"
    dump = DATA / f"state-{revision}-postgresql.sql"
    words = (psql, "-qXv", "ON_ERROR_STOP=1", "-h", server.directory, "-U", "extendctl")
    subprocess.run([*words, "-d", name, "-f", dump], check=True, capture_output=True)
    return url


REVISIONS = sorted(one.name.split("-")[1] for one in DATA.glob("state-*-sqlite.sql"))


@pytest.fixture(params=[(kind, one) for kind in ("sqlite", "postgresql") for one in REVISIONS])
def earlier(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A state as an earlier extendctl left it: dumps that were made with that program."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    kind, revision = request.param
    if kind == "sqlite":
        return earlier_sqlite(tmp_path / "state.db", revision)
    return earlier_postgres(request.getfixturevalue("postgres"), revision)


def expected(store: Store) -> None:
    """What is in every dump."""
    found = {one.name: (one.size // GIB, str(one.status)) for one in store.volumes()}
    assert found == {
        "grün": (10, "maintenance"),
        "vol1": (20, "in-use"),
        "vol2": (20, "in-use"),
        "vol3": (10, "extending"),
    }
    assert [str(one.state) for one in store.operations()] == ["done", "incomplete", "open"]
    assert store.deeds(1)[0].argv[0] == "lvextend"
    assert [one.archive for one in store.records(1)] == [None]
    assert [one.stdin for one in store.deeds(1)] == [None]
    for operation in store.operations():
        (run,) = store.runs(operation.id)
        assert (run.what, run.user, run.sudo_user) == ("opened", "root", "alice")
        assert (run.pid, run.at) == (4711, operation.opened_at)
        assert (run.reason, run.decision) == (operation.reason, operation.decision)


def shape(url: str) -> dict[str, Any]:
    """Columns, keys and constraints of every table."""
    with database(url) as found, found.reading() as connection:
        there = inspect(connection)
        return {
            table: (
                sorted((one["name"], str(one["type"]), one["nullable"])
                       for one in there.get_columns(table)),
                sorted(str(one["name"]) for one in there.get_unique_constraints(table)),
                sorted(str(one["name"]) for one in there.get_indexes(table)),
                sorted(str(one["name"]) for one in there.get_foreign_keys(table)),
                sorted(str(one["name"]) for one in there.get_check_constraints(table)),
            )
            for table in sorted(metadata.tables)
        }  # fmt: skip


def test_every_revision_before_this_one_has_a_dump() -> None:
    from extendctl.tables import REVISIONS as KNOWN

    assert tuple(REVISIONS) == KNOWN[:-1]


def test_an_earlier_state_is_brought_up_to_date(
    earlier: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with database(earlier) as found:
        done = upgrade(found)
        assert done.after == REVISION
        assert done.backup is not None
        again = upgrade(found)
    assert (again.before, again.backup) == (REVISION, None)
    with open_store(earlier) as store:
        expected(store)
    fresh = (
        f"sqlite:///{tmp_path}/fresh.db"
        if earlier.startswith("sqlite")
        else request.getfixturevalue("postgres").database()
    )
    open_store(fresh, create=True).close()
    assert shape(earlier) == shape(fresh)
    seal = sealed(done.backup)
    assert seal is not None
    assert seal.revision == done.before
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    put_back(elsewhere, done.backup)  # a backup of an earlier revision is brought up to date, too
    assert contents(elsewhere) == contents(earlier)


def test_a_file_is_brought_up_to_date_when_it_is_opened(tmp_path: Path) -> None:
    url = earlier_sqlite(tmp_path / "state.db", "0001")
    with open_store(url) as store:
        assert store.upgraded is not None
        assert (store.upgraded.before, store.upgraded.after) == ("0001", REVISION)
        expected(store)
    with open_store(url) as store:
        assert store.upgraded is None


def test_many_programs_bring_a_file_up_to_date_once(tmp_path: Path) -> None:
    url = earlier_sqlite(tmp_path / "state.db", "0001")

    def counts(store: Store, number: int) -> str:
        return str(len(store.volumes()))

    assert contend(url, counts) == ["4"] * PROCESSES
    assert len(list(tmp_path.glob("*.backup"))) == 1
    with open_store(url) as store:
        expected(store)


def test_a_server_is_not_brought_up_to_date_unasked(postgres: Server) -> None:
    """Other machines may use it with an earlier program."""
    url = earlier_postgres(postgres, "0001")
    with pytest.raises(ConfigError, match="has revision 0001, of an earlier extendctl") as error:
        open_store(url)
    assert "extendctl state upgrade" in error.value.fault.hint


def test_no_state_changes_under_a_living_owner(tmp_path: Path) -> None:
    url = earlier_sqlite(tmp_path / "state.db", "0001")
    mine = me()
    with sqlite3.connect(tmp_path / "state.db") as raw:
        raw.execute(
            "UPDATE operations SET owner_machine = ?, owner_boot_id = ?, owner_pid = ?, "
            "owner_started = ? WHERE state = 'open'",
            (mine.machine, mine.boot_id, mine.pid, mine.started),
        )
    raw.close()
    with pytest.raises(Busy, match="operation 3 of vol3 is at work"):
        open_store(url)
    assert list(tmp_path.glob("*.backup")) == []
