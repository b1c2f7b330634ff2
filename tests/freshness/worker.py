"""One worker of the service on a port of its own: `python -m tests.freshness.worker PORT`.

It is served by `app.serving.serve`, as `sceau serve` is; before that, what STALE_MUTANT and the other STALE_ variables
name is done to this process. Production code knows none of them.
"""

import sys

from app.serving import serve
from tests.freshness.disturbances import disturb
from tests.freshness.ways import counted


def main() -> None:
    """Serve until SIGTERM."""
    disturb()
    with counted():
        serve("127.0.0.1", int(sys.argv[1]), 1, jobs=False)


if __name__ == "__main__":
    main()
