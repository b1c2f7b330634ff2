"""`./dev e2e failover`: many failovers of the reference deployment, in parts; a run that was cut short goes on.

E2E_FAILOVERS (100): how many in all: kill, freeze, partition and split in turn. What each part found is a line of a
file, and the table is made from all of them: exit 1 if anything was lost, permitted wrongly, not answered or restarted.
"""

import argparse
import json
import os
import signal
import sys
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from tests.e2e.failover.cluster import cluster
from tests.e2e.failover.findings import Findings
from tests.e2e.failover.inside import ROOT, run_inside
from tests.e2e.failover.play import fail_over_again_and_again, lose_an_asynchronous_standby, say
from tests.e2e.failover.report import table

_KINDS: Final = ("kill", "freeze", "partition", "split")
_PART: Final = 8
_RESULTS: Final = ROOT / "build" / "failover.jsonl"


def main() -> int:
    """Run what is asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="./dev e2e failover", description=__doc__)
    parser.add_argument("--results", type=Path, default=_RESULTS, help="the file with a line for each part")
    parser.add_argument("--anew", action="store_true", help="forget what that file holds")
    parser.add_argument("--inside", metavar="KIND,…", help=argparse.SUPPRESS)
    parser.add_argument("--control", action="store_true", help="end with the control: an asynchronous standby")
    parser.add_argument("--proxied", action="store_true", help="the second service reaches its database by HAProxy")
    parser.add_argument("--seed", type=int, default=1, help="of what writers and askers choose")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    if arguments.inside is not None:
        _play(arguments)
        return 0
    return _many(arguments, int(os.environ.get("E2E_FAILOVERS", "100")))


def _many(arguments: argparse.Namespace, wanted: int) -> int:
    """Play parts until there are as many failovers as wanted."""
    arguments.results.parent.mkdir(exist_ok=True)
    if arguments.anew:
        arguments.results.unlink(missing_ok=True)
    while (done := sum(len(part["failovers"]) for part in _parts(arguments.results))) < wanted:
        kinds = list(islice(cycle(_KINDS), done % len(_KINDS), done % len(_KINDS) + min(_PART, wanted - done)))
        say(f"{done} of {wanted} failovers are done; now {len(kinds)} more")
        status = run_inside("tests.e2e.failover", _arguments(arguments, kinds, seed=arguments.seed + done))
        if status != 0:
            say("this part came to no end; see above")
            return status
    parts = _parts(arguments.results)
    print(table(parts))
    return int(any(part["wrong"] for part in parts))


def _arguments(arguments: argparse.Namespace, kinds: list[str], *, seed: int) -> list[str]:
    options = ["--inside", ",".join(kinds), "--results", str(arguments.results.resolve()), "--seed", str(seed)]
    return [*options, *(["--proxied"] if arguments.proxied else [])]


def _parts(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _play(arguments: argparse.Namespace) -> None:
    """One part, on a cluster of its own: a line for it, and another for the control."""
    with cluster() as servers:
        address = servers.url("sceau_app")
        addresses = [address, servers.start_proxy() if arguments.proxied else address]
        kinds = arguments.inside.split(",")
        _keep(arguments, "failovers", fail_over_again_and_again(servers, kinds, addresses, arguments.seed))
        if arguments.control:
            _keep(arguments, "control", lose_an_asynchronous_standby(servers, addresses, arguments.seed))


def _keep(arguments: argparse.Namespace, name: str, findings: Findings) -> None:
    """Add a line to the results."""
    with arguments.results.open("a") as file:
        line = {"part": name, "seed": arguments.seed, "wrong": findings.wrong(), **findings.as_json()}
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
