"""Writes a configuration of extendctl that describes the lab."""

from pathlib import Path

from tests.lab.volumes import LUKS_KEYS, VOLUME_DIRECTORY

_BACKENDS = f"""\
backends:
  fast: {{driver: lvm, host: silo, volume_group: vg0, capabilities: [in-use-extend]}}
  san: {{driver: iscsi, target: lio, host: silo, volume_group: vg0, capabilities: [in-use-extend]}}
  nocap: {{driver: iscsi, target: lio, host: silo, volume_group: vg0}}
  files: {{driver: file, host: silo, directory: {VOLUME_DIRECTORY}, capabilities: [in-use-extend]}}
  small: {{driver: lvm, host: silo, volume_group: vgfull, capabilities: [in-use-extend]}}
"""


def write(
    directory: Path,
    ports: dict[str, int],
    known_hosts: Path,
    identity: Path,
    user: str,
    become: str,
) -> Path:
    """Writes DIRECTORY/config.yaml; the state will be beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = ", ".join(f"{mapping}: {file}" for mapping, file in LUKS_KEYS.items())
    extra = {"web1": f", luks_keys: {{{keys}}}"}
    hosts = [
        f"  {name}: {{address: 127.0.0.1, port: {port}{extra.get(name, '')}}}"
        for name, port in ports.items()
    ]
    lines = [
        "state: sqlite:///state.db",
        "ssh:",
        f"  user: {user}",
        f"  identity_file: {identity}",
        f"  known_hosts: {known_hosts}",
        f"  become: {become}",
        # Emulated machines need a while to agree on keys.
        "  connect_timeout: 30",
        "hosts:",
        *hosts,
        _BACKENDS,
    ]
    path = directory / "config.yaml"
    path.write_text("\n".join(lines))
    return path
