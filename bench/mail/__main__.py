"""`./dev bench mail [--messages N]`: how long a message takes with the clients of Rspamd and Dovecot, and without.

Two of each server stand side by side, one asking a warm Sceau on the same machine, and messages go to them in turn, so
that whatever else the machine does meets both; `added` is of the differences, message by message. The user consents to
everything. The table goes to standard output.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.progress import say
from tests.e2e.debian import provide_servers
from tests.e2e.mail import dovecot as of_dovecot
from tests.e2e.mail import rspamd as of_rspamd
from tests.e2e.mail.letters import Letter
from tests.e2e.mail.packages import ANSWERS, PACKAGES
from tests.e2e.mail.receivers import analysing
from tests.e2e.mail.world import ADS, COPIES, TRAINING, dovecot_settings, register, rspamd_files, scratch
from tests.e2e.service import Sceau, administered

USER = "alice@example.fr"
WARMING = 30
OF_THE_CLIENT = ("rspamd.conf.local", "local.d/sceau.conf", "local.d/classifier-bayes.conf")

Send = Callable[[], object]


@dataclass(frozen=True)
class Pair:
    """One server twice: what sends a message to each."""

    name: str
    asking: Send
    plain: Send


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="./dev bench mail", description=__doc__)
    parser.add_argument("--messages", type=int, default=500, help="to each server (500)")
    asked = parser.parse_args()
    provide_servers(PACKAGES, "./dev bench mail", answers=ANSWERS)
    with tempfile.TemporaryDirectory(prefix="sceau-bench-mail-") as made, administered(Path(made) / "data") as sceau:
        register(sceau)
        for processing in (ADS, TRAINING, COPIES):
            sceau.api.decide(USER, processing)
        with _pairs(sceau) as pairs:
            rows = [_measured(pair, asked.messages) for pair in pairs]
    print(json.dumps({"machine": _machine(), "messages": asked.messages, "rows": rows}, indent=2))
    return 0


@contextmanager
def _pairs(sceau: Sceau) -> Iterator[list[Pair]]:
    with ExitStack() as kept:
        folder = kept.enter_context(scratch())
        hook = kept.enter_context(analysing())
        redis = kept.enter_context(of_rspamd.redis(folder / "redis"))
        files = rspamd_files(sceau, folder / "asking", sceau.address, eager=False)
        del files["local.d/metadata_exporter.conf"]  # an analysis is not what is measured
        asking = kept.enter_context(of_rspamd.rspamd(folder / "asking", redis, files))
        rest = {name: text for name, text in files.items() if name not in OF_THE_CLIENT}
        plain = kept.enter_context(of_rspamd.rspamd(folder / "plain", redis, rest))
        settings = dovecot_settings(sceau, folder / "boxes", sceau.address, hook.address)
        boxes = kept.enter_context(of_dovecot.dovecot(folder / "boxes", settings))
        unhooked = dovecot_settings(sceau, folder / "silent", sceau.address, "").replace("sceau_hook_url =", "none =")
        silent = kept.enter_context(of_dovecot.dovecot(folder / "silent", unhooked))
        bare = kept.enter_context(of_dovecot.dovecot(folder / "bare", ""))
        yield [
            Pair("Rspamd, one user, two processings", _scan(asking), _scan(plain)),
            Pair("Dovecot, one processing, the hook called", _deliver(boxes), _deliver(bare)),
            Pair("Dovecot, one processing, no hook", _deliver(silent), _deliver(bare)),
        ]


def _scan(server: of_rspamd.Rspamd) -> Send:
    def send() -> None:
        letter = Letter([USER])
        server.scan(letter.raw, Rcpt=USER, From=letter.sender)

    return send


def _deliver(server: of_dovecot.Dovecot) -> Send:
    def send() -> None:
        letter = Letter([USER])
        server.deliver(letter.raw, letter.sender, USER)

    return send


def _measured(pair: Pair, messages: int) -> dict[str, object]:
    say(f"{pair.name}: {messages} messages")
    both = {"asking": pair.asking, "plain": pair.plain}
    for send in [*both.values()] * WARMING:
        send()
    taken: dict[str, list[float]] = {"asking": [], "plain": []}
    for number in range(messages):
        for name in sorted(both, reverse=bool(number % 2)):  # neither is always the one that comes first
            started = time.perf_counter()
            both[name]()
            taken[name].append((time.perf_counter() - started) * 1000)
    added = [asking - plain for asking, plain in zip(taken["asking"], taken["plain"], strict=True)]
    return {"what": pair.name, **{f"{name}_ms": _told(times) for name, times in {**taken, "added": added}.items()}}


def _told(times: list[float]) -> dict[str, float]:
    cut = statistics.quantiles(times, n=20)
    return {"median": round(cut[9], 2), "p95": round(cut[18], 2)}


def _machine() -> dict[str, str]:
    packages = ("rspamd", "dovecot-core", "redis-server")
    line = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n", *packages]
    versions = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return {
        "system": platform.platform(),
        "cores": str(os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.2f}",
        **dict(each.split() for each in versions.splitlines()),
    }


if __name__ == "__main__":
    raise SystemExit(main())
