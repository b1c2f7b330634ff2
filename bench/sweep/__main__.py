"""`./dev bench sweep [--consents N]`: exactly one flag and one event for each consent, whatever is killed meanwhile.

Exit 1 when a consent was flagged twice, wrongly or not at all, or when the race proved nothing.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from bench.progress import say
from bench.sweep.race import Plan, prepare, register, run


def main() -> int:
    """Race once on a PostgreSQL of the run's own, and tell what came of it."""
    parser = argparse.ArgumentParser(prog="./dev bench sweep", description=__doc__)
    parser.add_argument("--consents", type=int, default=100_000, help="half of them due, half lapsed (100,000)")
    parser.add_argument("--kills", type=int, default=10, help="workers killed inside a batch (10)")
    asked = parser.parse_args()
    plan = Plan(asked.consents, kills=asked.kills)
    with tempfile.TemporaryDirectory(prefix="sceau-sweep-", dir="/var/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        with EmbeddedServer(directory / "postgres", settings={"shared_buffers": "512MB"}) as server:
            owner, role, administrator = (
                server.url(role=name, database=DATABASE) for name in (OWNER_ROLE, APP_ROLE, "postgres")
            )
            migrate(owner, role)
            register(administrator)
            prepare(administrator, plan)
            say(f"racing on {plan.consents:,} consents")
            outcome = run(administrator, role, plan)
    print(json.dumps(asdict(outcome), indent=2))
    faults = outcome.verdict.faults
    proves = (
        len(outcome.killed) == plan.kills and outcome.verdict.ended_after_flag and outcome.verdict.ended_without_flag
    )
    for line, wrong in ((f"faults: {faults}", faults), ("the race proved too little", not proves)):
        if wrong:
            say(line)
    return int(bool(faults) or not proves)


if __name__ == "__main__":
    sys.exit(main())
