"""`./dev bench chat`: what asking adds to a message on Synapse and on Prosody, both real, against a warm Sceau.

Prints a table and one line of JSON. As root on Debian, like `./dev e2e`, which installs the same servers. The two
servers of a pair run beside each other and take turns, so that what the machine does meanwhile falls on both alike.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.chat.measuring import report, take_turns
from bench.chat.servers import prosody_pair, synapse_pair
from tests.e2e.chat.register import add_processings
from tests.e2e.debian import Unavailable
from tests.e2e.service import administered

_PAIRS = {"Synapse": synapse_pair, "Prosody": prosody_pair}


def main() -> int:
    """Measure each pair; 1 when a server could not be had or a message was not analysed."""
    parser = argparse.ArgumentParser(prog="./dev bench chat", description=__doc__)
    parser.add_argument("--messages", type=int, default=300, help="on each server (default 300)")
    messages: int = parser.parse_args().messages
    print(f"{_processor()}, {os.cpu_count()} cores, {platform.platform()}, load {os.getloadavg()[0]:.1f}")
    try:
        complete = [_measured(name, messages) for name in _PAIRS]
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if all(complete) else 1


def _measured(name: str, messages: int) -> bool:
    settings = {"SCEAU_SUBJECT_IDS": "address,mxid=exact"}
    with tempfile.TemporaryDirectory() as folder, administered(Path(folder) / "data", **settings) as sceau:
        add_processings(sceau.api)
        with _PAIRS[name](sceau) as (without, asking, analysed):
            for done in take_turns((without, asking), messages):
                if done % 50 == 0:
                    print(f"bench: {name}, {done} of {messages} messages", file=sys.stderr)
            figures = report(name, without, asking) | {"analysed": analysed(), "load": round(os.getloadavg()[0], 1)}
    for key, value in figures.items():
        print(f"  {key:<24} {value}")
    print(json.dumps(figures))
    return int(figures["analysed"]) >= messages


def _processor() -> str:
    described = subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout
    names = (line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("Model name"))
    return next(names, platform.machine())


sys.exit(main())
