"""The proxies of deploy/proxies, each started on loopback from its own file.

A file is changed only where it names this machine's ports, certificates and log folders, and each change must fit.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.debian import provide_servers
from tests.e2e.programs import free_ports, program
from tests.packaging.wheels import ROOT
from tests.support.certificates import self_signed

FILES = ROOT / "deploy/proxies"
NAMES = ("nginx", "haproxy", "caddy")
_PROGRAMS = {"nginx": "/usr/sbin/nginx", "haproxy": "/usr/sbin/haproxy", "caddy": "/usr/bin/caddy"}


@dataclass(frozen=True)
class Proxy:
    """A running proxy: its port on 127.0.0.1, whom its certificate is by, and where it writes its logs."""

    name: str
    port: int
    authority: Path
    folder: Path

    def trusting(self) -> ssl.SSLContext:
        """What a client of it believes: this proxy's certificate alone."""
        return ssl.create_default_context(cafile=str(self.authority))

    def logged(self) -> str:
        """All that it has logged."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))


@dataclass(frozen=True)
class _Plan:
    """A command, the file that it reads, what is changed in that, and what is set for it."""

    file: str
    line: tuple[str, ...]
    changes: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)


def provide_proxies() -> None:
    """Have Debian's nginx, HAProxy and Caddy installed. Raises Unavailable when they cannot be."""
    provide_servers(_PROGRAMS, "the proxies of deploy/proxies")


@contextmanager
def started(name: str, upstream: int, folder: Path) -> Iterator[Proxy]:
    """One of the proxies, in front of what listens on a port, as long as the block lasts."""
    folder.mkdir()
    port, plain = free_ports(2)
    plan = _plans(folder, port, plain, upstream)[name]
    text = (FILES / plan.file).read_text(encoding="utf-8")
    for written, wanted in plan.changes.items():
        assert written in text, f"{plan.file} does not hold {written!r}"
        text = text.replace(written, wanted)
    (folder / plan.file).write_text(text)
    if name == "caddy":
        authority = folder / "data" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    else:
        authority = _certificate(folder)
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), **plan.settings}
    with program([_PROGRAMS[name], *plan.line], folder / "said.log", port=port, cwd=folder, env=environment):
        yield Proxy(name, port, authority, folder)


def _plans(folder: Path, port: int, plain: int, upstream: int) -> dict[str, _Plan]:
    service = {"127.0.0.1:8080": f"127.0.0.1:{upstream}"}
    return {
        "nginx": _Plan(
            "nginx.conf",
            ("-c", str(folder / "nginx.conf"), "-g", "daemon off;"),
            service
            | {
                "/run/nginx.pid": str(folder / "pid"),
                "/var/log/nginx/": f"{folder}/",
                "/etc/sceau/tls/": f"{folder}/",
                "listen 80;": f"listen 127.0.0.1:{plain};",
                "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            },
        ),
        "haproxy": _Plan(
            "haproxy.cfg",
            ("-db", "-f", str(folder / "haproxy.cfg")),
            service
            | {
                "/etc/sceau/tls/": f"{folder}/",
                "bind :80": f"bind 127.0.0.1:{plain}",
                "bind :443": f"bind 127.0.0.1:{port}",
            },
        ),
        "caddy": _Plan(
            "Caddyfile",
            ("run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")),
            # Certificates of its own authority, which is not to be installed on this machine.
            {
                "\tadmin off\n": f"\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port {plain}\n\thttps_port {port}\n"
                "\tskip_install_trust\n"
            },
            {
                "DOMAIN": "127.0.0.1",
                "UPSTREAM": f"127.0.0.1:{upstream}",
                "XDG_DATA_HOME": str(folder / "data"),
                "XDG_CONFIG_HOME": str(folder / "config"),
            },
        ),
    }


def _certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, under the names that the files have."""
    chain, private = self_signed("127.0.0.1")
    (folder / "fullchain.pem").write_bytes(chain)
    (folder / "privkey.pem").write_bytes(private)
    (folder / "both.pem").write_bytes(chain + private)
    return folder / "fullchain.pem"
