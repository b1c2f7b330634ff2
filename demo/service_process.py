"""The child process: `sceau serve`, which also stops when its standard input ends, so that it outlives no demo."""

import os
import signal
import sys
import threading

from app.cli import main


def _stop_with_input() -> None:
    while os.read(0, 1024):  # the descriptor itself: a buffered reader would hold a lock at exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_stop_with_input, daemon=True).start()
    os.environ["SCEAU_DRAIN"] = "PT0S"  # nobody else asks it
    sys.argv[1:1] = ["serve"]
    main()
