"""Becomes a PostgreSQL program that dies with its parent. Run as a script; nothing imports it.

    launcher.py PARENT_PID SIGNAL UID GID PROGRAM ARGUMENT...

It is a separate script because code between fork and exec is not safe in a process with threads. It must stay free of
imports outside the standard library and must do nothing after the program has been started.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Drop root if asked, set SIGNAL for the parent's death, check that the parent lives, and exec the program."""
    parent, signal, uid, gid = (int(word) for word in arguments[:4])
    command = arguments[4:]
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(0o077)
    os.chdir("/")
    if uid != os.geteuid():
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    # After the change of user, which would clear it, and before the check, so that no death falls in between.
    if libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        sys.exit("the process that asked for it is gone")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as failure:
        sys.exit(f"FATAL:  could not run {sys.argv[5]}: {failure.strerror}")
