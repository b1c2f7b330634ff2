"""One worker of the service on a port of its own: `python -m tests.freshness.worker PORT`.

The same application as `sceau serve`; before it is made, what STALE_MUTANT and the other STALE_ variables name is done
to this process. Production code knows none of them.
"""

import sys

import uvicorn

from tests.freshness.disturbances import disturb


def main() -> None:
    """Serve until SIGTERM."""
    disturb()
    uvicorn.run(
        "app.main:create_app_from_environment",
        factory=True,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
