"""BagIt bags (RFC 8493) in a ZIP, written file after file: each is hashed as it is written, and listed at the end."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import IO, Protocol, Self

_DECLARATION = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object:
        """Write some bytes."""
        ...


class _Hashed:
    """Writes to a file of the bag, and hashes what is written."""

    def __init__(self, sink: _Sink) -> None:
        self.digest, self.octets = hashlib.sha256(), 0
        self._sink = sink

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self.digest.update(data)
        self.octets += len(data)


class Bag:
    """One bag. Leave it by its `with` block: that writes the lists without which it is none."""

    def __init__(self, target: IO[bytes]) -> None:
        """Write to an open file."""
        self._zip = zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._listed: dict[str, str] = {}
        self._octets = 0
        self.manifest_sha256: str | None = None
        """Of `manifest-sha256.txt`, which lists everything, once the bag is whole."""

    @contextmanager
    def open(self, name: str) -> Iterator[_Hashed]:
        """A file of the payload; its name begins with `data/`."""
        with self._zip.open(name, "w", force_zip64=True) as file:
            hashed = _Hashed(file)
            yield hashed
        self._listed[name] = hashed.digest.hexdigest()
        self._octets += hashed.octets

    def put(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        with self.open(name) as file:
            file.write(content)

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Write the declaration and the lists."""
        if kind is None:
            self._finish()
        self._zip.close()

    def _finish(self) -> None:
        oxum = f"Payload-Oxum: {self._octets}.{len(self._listed)}\nExternal-Description: Proofs of a Sceau deployment\n"
        tags = {
            "bagit.txt": _DECLARATION,
            "bag-info.txt": oxum.encode(),
            "manifest-sha256.txt": _manifest(self._listed),
        }
        listed = {name: hashlib.sha256(content).hexdigest() for name, content in tags.items()}
        self.manifest_sha256 = listed["manifest-sha256.txt"]
        for name, content in {**tags, "tagmanifest-sha256.txt": _manifest(listed)}.items():
            self._zip.writestr(name, content)


def read_me(language: str) -> str:
    """What a bundle says of itself: what to run, what it means, and what it cannot prove."""
    return (files("app.proof") / f"README.{language}.md").read_text(encoding="utf-8")


def _manifest(listed: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in listed.items()).encode()
