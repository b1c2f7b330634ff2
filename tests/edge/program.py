"""A program with an edge: `python -m tests.edge.program SOCKET`, its key in SCEAU_KEY; it answers line by line.

A line is `USER PROCESSING`; the answer is `permit` or `deny`, and `memory` or `socket`; or `none`.
At `fork` the program forks, and its child answers from then on; at `fork in C`, without Python's knowledge.
"""

import ctypes
import os
import sys

from sceau_client import Edge, Outcome
from tests.edge.questions import asked


def main() -> None:
    """Answer until the standard input ends."""
    edge = Edge(sys.argv[1], os.environ["SCEAU_KEY"])
    for line in sys.stdin:
        words = line.split()
        if words[0] == "fork":
            if ctypes.PyDLL(None).fork() if words[1:] else os.fork():
                os.wait()
                os._exit(0)
            print("forked", flush=True)
            continue
        user, processing = words
        permitted, source = edge.permits(user, processing, "handle"), "memory"
        if permitted is None:
            source = "socket"
            decision = edge.ask(asked(user, processing)).result(10)
            outcome = Outcome.UNKNOWN if decision is None else decision.outcome
            permitted = None if outcome is Outcome.UNKNOWN else outcome is Outcome.PERMIT
        print("none" if permitted is None else f"{'permit' if permitted else 'deny'} {source}", flush=True)
    edge.close()


if __name__ == "__main__":
    main()
