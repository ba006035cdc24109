"""The same place, with this machine reached by SSH as root, under the name `here2`."""

from pathlib import Path

from tests.live.place import Place
from tests.sshd import Sshd

_CONFIG = """\
state: sqlite:///state.db
ssh: {{user: root, become: none, identity_file: {key}, known_hosts: {known}}}
hosts:
  here2: {{address: 127.0.0.1, port: {port}}}
backends:
  far: {{driver: file, host: here2, directory: {volumes}, capabilities: [in-use-extend]}}
"""


class SshPlace(Place):
    """Its volumes are on the backend `far`, attached to the host `here2`."""

    backend, host = "far", "here2"

    def __init__(self, top: Path, sshd: Sshd) -> None:
        config = top / "config.yaml"
        super().__init__(top, config)
        text = _CONFIG.format(
            key=sshd.user_key, known=sshd.known_hosts, port=sshd.port, volumes=self.volumes
        )
        config.write_text(text)
