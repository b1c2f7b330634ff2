"""A copy of `./dev` in a folder of its own, with stand-ins for Python, pip, uv and sceau: no network, nothing slow.

Each stand-in writes a line to a journal, so that a test sees what was set up, how often and in which order.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

_TOOLS = (
    "bash",
    "cat",
    "cp",
    "dirname",
    "env",
    "flock",
    "mkdir",
    "mv",
    "rm",
    "sed",
    "sha256sum",
    "sleep",
    "tail",
)

_PYTHON = r"""#!/usr/bin/env bash
if [[ $1 == -ISc && $2 == *'>='* ]]; then echo "${FAKE_VERSION:-3.13 True}"
elif [[ $1 == -ISc && $2 == *ensurepip* ]]; then [[ ! ${FAKE_NO_VENV:-} ]]
elif [[ $1 == -ISc && $2 == *CONFIG_ARGS* ]]; then [[ $0 == *"${FAKE_OPTIMISED:-}" ]]
elif [[ $1 == -ISc ]]; then echo "stand-in for Python"
elif [[ $1 == --version ]]; then echo "Python ${FAKE_VERSION:-3.13}"
elif [[ $1 == -m && $2 == venv ]]; then
  echo venv >>"$JOURNAL"
  mkdir -p "$3/bin"
  cp "$0" "$3/bin/python"
elif [[ $1 == -m && $2 == pip && $3 == install ]]; then
  echo pip >>"$JOURNAL"
  cp "$STANDINS/uv" "${0%/*}/uv"
elif [[ $1 == -m && $2 == pip ]]; then exit 1
else echo "$@"
fi
"""
_UV = r"""#!/usr/bin/env bash
echo "uv $2" >>"$JOURNAL"
if [[ $2 == sync && ${FAKE_SLOW:-} ]]; then sleep "$FAKE_SLOW"; fi
if [[ ${FAKE_OFFLINE:-} ]]; then echo "error: no route to the index"; exit 2; fi
cp "$STANDINS/sceau" "${0%/*}/sceau"
"""
_SCEAU = r"""#!/usr/bin/env bash
if [[ ${FAKE_TAKES_LOCK_OF:-} ]]; then exec flock --nonblock "$FAKE_TAKES_LOCK_OF" cat /dev/null; fi
printf '%s\n' "pid $$" "in $PWD" "$@"
exit "${FAKE_STATUS:-0}"
"""


class Checkout:
    """A folder with `./dev` and what it reads, and a PATH that holds the stand-ins and a few tools."""

    def __init__(self, folder: Path) -> None:
        """Lay everything out below `folder`; the checkout's own path has a space."""
        self.path = folder / "a checkout"
        self.journal = folder / "journal"
        self.programs = folder / "bin"
        standins = folder / "standins"
        for directory in (self.path, self.programs, standins):
            directory.mkdir()
        for name in ("dev", "pyproject.toml", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.path)
        for tool in _TOOLS:
            self.programs.joinpath(tool).symlink_to(str(shutil.which(tool)))
        for name, text in (("uv", _UV), ("sceau", _SCEAU)):
            _write_program(standins / name, text)
        self.add_python("python3")
        self.environment = {
            "PATH": str(self.programs),
            "HOME": str(folder),
            "JOURNAL": str(self.journal),
            "STANDINS": str(standins),
        }

    def add_python(self, name: str, text: str = _PYTHON) -> None:
        """Put a Python on PATH."""
        _write_program(self.programs / name, text)

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.Popen[str]:
        """Start `./dev` in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            [str(self.path / "dev"), *arguments],
            cwd=cwd or self.path,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `./dev` to its end."""
        with self.start(*arguments, cwd=cwd, **environment) as process:
            printed, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, printed, errors)

    def change_lock(self) -> None:
        """Change what is to be installed, as a pull does."""
        with (self.path / "requirements-dev.txt").open("a") as lock:
            lock.write("# changed\n")

    def done(self) -> list[str]:
        """What the stand-ins were asked to do, in order, and forget it."""
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        self.journal.unlink(missing_ok=True)
        return lines


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
