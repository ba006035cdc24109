"""Targets beside LIO's block backstores: tgt, NVMe, files; what they tell, refuse and keep."""

from pathlib import Path

import pytest

from extendctl.backends.tgt import TgtLayer
from extendctl.compute.linux import LinuxCompute
from extendctl.errors import Refused
from extendctl.figures import Garbled
from extendctl.model import GrowOptions, Identity
from extendctl.nvmet_probe import Namespace, namespaces
from extendctl.size import GIB, MIB
from extendctl.stack import Layer, grow, pauses, walk
from extendctl.tgt_readings import megabytes, probable, targets
from extendctl.transport import Result
from tests.extending import begin
from tests.world import lio
from tests.world.site import Site, iscsi_fileio, iscsi_tgt, nvmet
from tests.world.state import State

RECORDED = Path(__file__).parent / "recorded" / "tgt-show.txt"


def words(layer: Layer, to: int = 20 * GIB) -> str:
    return " ".join(one.message for one in layer.obstacles(to))


def lun(site: Site) -> Layer:
    return site.trunk(site.hosts()).layers[1]


def test_tgtadm_is_read() -> None:
    (one,) = targets(Result((), 0, RECORDED.read_text(), ""))
    assert (one.target, one.number, one.place) == (1, 1, "iqn.2026-11.com.example:tgtvol,1")
    assert (one.path, one.megabytes, one.backing) == ("/dev/vg0/tgtvol", 419, "rdwr")
    assert (one.online, one.locked) == (True, False)
    assert one.initiators == ("iqn.2026-11.com.example:web1",)


@pytest.mark.parametrize(
    ("mebibytes", "shown"), [(0, 0), (128, 134), (400, 419), (512, 537), (768, 805), (872, 914)]
)
def test_tgts_megabytes_are_reckoned_as_it_does(mebibytes: int, shown: int) -> None:
    size = mebibytes * MIB
    assert megabytes(size) == shown
    assert megabytes(probable(shown)) == shown
    assert abs(probable(shown) - size) < 1_001_000


def test_a_pause_is_refused_until_policy_permits_it(tmp_path: Path) -> None:
    stage = begin(iscsi_tgt(), tmp_path)
    stage.governed(rules={})
    before = stage.world.state.machines
    report = stage.extend()
    assert report.error is not None
    assert report.error.fault.code == "policy-denied"
    assert "volume:extend_with_pause" in report.error.fault.message
    assert stage.world.deeds() == []
    assert stage.world.state.machines == before
    stage.governed(rules={"volume:extend_with_pause": "allow"})
    assert stage.extend().outcome == "done"
    assert stage.world.machine("silo").tgt["iqn.2026-11.com.example:vol1"].luns[1].opened == 1


def test_nobody_has_to_wait_where_nobody_is_logged_in() -> None:
    site = iscsi_tgt()
    assert pauses(lun(site))
    with site.world.change() as state:
        state.machines["silo"].tgt["iqn.2026-11.com.example:vol1"].initiators = []
    assert not pauses(lun(site))
    assert not pauses(lun(iscsi_fileio()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"online": False}, "is offline"),
        ({"locked": True}, "has forbidden to remove"),
        ({"backing": "aio"}, "is stored through aio"),
    ],
)
def test_what_tgt_could_not_open_anew_is_found_before(change: dict[str, object], said: str) -> None:
    site = iscsi_tgt()
    with site.world.change() as state:
        luns = state.machines["silo"].tgt["iqn.2026-11.com.example:vol1"].luns
        luns[1] = luns[1].model_copy(update=change)
    assert said in words(lun(site))


def test_growth_that_tgt_would_not_show_is_refused() -> None:
    layer = lun(iscsi_tgt())
    assert "nobody could see" in words(layer, layer.measure() + 4096)
    assert not words(layer, layer.measure() + 4 * MIB)


def test_a_tgt_that_has_not_followed_measures_less_than_its_device() -> None:
    site = iscsi_tgt()
    list(walk(site.trunk(site.hosts()).layers[:1], 20 * GIB, grow))
    assert 10 * GIB - MIB < lun(site).measure() <= 10 * GIB


def test_another_device_under_a_tgts_number_is_refused() -> None:
    site = iscsi_tgt()
    layer = lun(site)
    assert isinstance(layer, TgtLayer)
    with site.world.change() as state:
        state.machines["silo"].tgt[layer.iqn].luns[1].path = "/dev/vg0/other"
    layer.machine.forget()
    with pytest.raises(Refused, match="no longer serves"):
        layer.measure()


def test_a_disk_behind_tgt_is_known_by_its_session_and_not_by_its_wwn() -> None:
    """`naa.6000...0e00000000010001` is target 1, LUN 1 of any server."""
    site = iscsi_tgt()
    hosts = site.hosts()
    path = site.branches(hosts)["web1"].layers[0]

    def another(state: State) -> None:
        target = state.machines["silo"].tgt
        target["iqn.2026-11.com.example:other"] = target["iqn.2026-11.com.example:vol1"]
        state.machines["web1"].devices["sdb"].lun = "silo/tgt/iqn.2026-11.com.example:other,1"

    with site.world.change() as state:
        another(state)
    hosts["web1"].forget()
    with pytest.raises(Refused, match="no longer LUN"):
        path.measure()
    known = Identity("iqn", "iqn.2026-11.com.example:vol1,1")
    hosts["web1"].forget()
    with pytest.raises(Refused, match="no session to the LUN"):
        LinuxCompute(hosts["web1"]).stack(known, GrowOptions())


@pytest.mark.parametrize("make", [iscsi_tgt, nvmet])
def test_a_new_volume_is_refused_before_anything_is_made(make: object) -> None:
    site = iscsi_tgt() if make is iscsi_tgt else nvmet()
    with pytest.raises(Refused, match="cannot be handled by this version"):
        site.driver(site.hosts()).create("vol2", GIB, [])
    assert site.world.deeds() == []


def test_an_nvme_controller_that_is_not_live_is_found_before() -> None:
    site = nvmet()
    with site.world.change() as state:
        state.machines["web1"].controllers["nvme1"].state = "connecting"
    layer = site.branches(site.hosts())["web1"].layers[0]
    assert "the controller nvme1 of nvme0n1 on web1 is connecting, not live" in words(layer)


def test_only_nvme_controllers_that_lag_are_told_to_look_again() -> None:
    site = nvmet()
    list(walk(site.trunk(site.hosts()).layers, 20 * GIB, grow))
    with site.world.change() as state:
        state.machines["web1"].controllers["nvme0"].size = 20 * GIB
    list(walk(site.branches(site.hosts())["web1"].layers[:1], 20 * GIB, grow))
    assert site.world.deeds("web1") == [("nvme", "ns-rescan", "/dev/nvme1")]


def test_a_namespace_that_is_not_enabled_is_found_before() -> None:
    site = nvmet()
    with site.world.change() as state:
        state.machines["silo"].namespaces["nqn.2026-11.com.example:vol1,1"].enabled = False
    assert "is not enabled" in words(lun(site))


def test_a_namespace_is_known_by_its_uuid_or_else_by_its_nguid() -> None:
    none = "00000000-0000-0000-0000-000000000000"
    nguid = "01234567-89ab-cdef-0123-456789ABCDEF"
    text = f"namespace\tnqn.x:y\t1\t1\t{none}\t{nguid}\t/dev/vg0/y\t\nend\t\n"
    (one,) = namespaces(text)
    assert one == Namespace("nqn.x:y", 1, enabled=True, uuid=none, nguid=nguid, path="/dev/vg0/y")
    assert one.wwid == "eui.0123456789abcdef0123456789abcdef"
    with pytest.raises(Garbled):
        namespaces(text.removesuffix("end\t\n"))


def test_a_lun_over_a_file_is_as_large_after_the_target_was_started_again() -> None:
    site = iscsi_fileio()
    list(walk(site.trunk(site.hosts()).layers, 20 * GIB, grow))
    with site.world.change() as state:
        lio.restart(state.machines["silo"])
    assert lun(site).measure() == 20 * GIB


def test_a_size_that_was_not_saved_counts_as_not_grown() -> None:
    site = iscsi_fileio()
    list(walk(site.trunk(site.hosts()).layers, 20 * GIB, grow))
    with site.world.change() as state:
        state.machines["silo"].saved_sizes["vol1"] = 10 * GIB
    layer = lun(site)
    assert layer.measure() == 10 * GIB
    grow(layer, 20 * GIB)
    assert site.world.machine("silo").saved_sizes == {"vol1": 20 * GIB}


def test_a_lun_over_a_file_that_nobody_has_saved_is_found_before() -> None:
    site = iscsi_fileio()
    with site.world.change() as state:
        state.machines["silo"].saved_sizes = {}
    assert "not in the saved configuration" in words(lun(site))
