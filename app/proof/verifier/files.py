"""Reads the files of a bundle within bounds of size, and rejects any that another tool would read differently.

A bundle is a BagIt bag (RFC 8493) in a ZIP: its list names every file of the payload with its SHA-256.
"""

import hashlib
import io
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from app.proof.verifier.bodies import Findings, UnreadableError, parsed

LATER = "later.json"
"""The file beside the payload with entries from after the bundle's end, such as the log's statement of the bundle."""
_NAME = re.compile(r"data/(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_TAGS = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt", LATER}
_ZIP64 = b"\x01\x00"
"""The id of the one extra field that a file may have, for sizes. Other extra fields can give the file another name."""
_FIELD_HEAD = 4
_LOCAL = struct.Struct("<4s5H3I2H")
_WIDE = struct.Struct("<QQ")
_BEHIND, _BEHIND_WIDE = struct.Struct("<III"), struct.Struct("<IQQ")
_END = struct.Struct("<4s4H2IH")
_END_WIDE = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = 20
_IN_WIDE = 0xFFFFFFFF
_MANY = 0xFFFF
_DESCRIBED = 8
"""The flag of a file whose sizes follow its data, because the ZIP was written to a stream that cannot seek."""
_SHOWN_NAMES = 20
_CHUNK = 1 << 20
_MOST = 1 << 24
"""The most octets of a small file or of a line: a ZIP of some kilobytes can unpack to gigabytes."""
MOST_LATER = 1 << 26
"""The most octets of `later.json`, which lists the places that runs of retention emptied."""
_LONGEST_NAME = 255


def member(bag: zipfile.ZipFile, name: str, most: int = _MOST) -> bytes:
    """The whole content of a small file of a bundle.

    Raises:
        UnreadableError: it is longer than any such file is.

    """
    with bag.open(name) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UnreadableError(f"{name} is longer than any such file is")
    return content


def objects(lines: IO[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line of a file of a bundle, with the JSON object that it holds.

    Raises:
        UnreadableError: a line is longer than any such line is, or is no object.

    """
    # A member's own readline costs five times as much.
    buffered = io.BufferedReader(cast("io.RawIOBase", lines), _CHUNK)
    while line := buffered.readline(_MOST + 1):
        if len(line) > _MOST:
            raise UnreadableError("a line of the bundle is longer than any such line is")
        value = parsed(line)
        if not isinstance(value, dict):
            raise UnreadableError("a line of the bundle is no object")
        yield line, value


def _is_plain(extra: bytes) -> bool:
    """Whether a file in a ZIP has no extra fields, or only the one for sizes."""
    return not extra or (extra[:2] == _ZIP64 and len(extra) == _FIELD_HEAD + int.from_bytes(extra[2:4], "little"))


def check_layout(bag: zipfile.ZipFile, file: IO[bytes], report: Findings) -> None:
    """Check that a bundle holds nothing but its files, and that its tag files match the list of tags.

    A tool that reads a ZIP from its beginning, and not by its directory, must see the same files under the same names.
    """
    if not _is_whole(bag, file):
        report.wrong.append("it has more in it than its files, or a file under two names: it was changed")
    listed = {}
    for line in member(bag, "tagmanifest-sha256.txt").decode().splitlines():
        sha256, _, name = line.partition("  ")
        listed[name] = sha256
    tags = (_TAGS - {"tagmanifest-sha256.txt"}).intersection(bag.namelist())
    wrong = [
        name for name in sorted(tags | listed.keys()) if name not in tags or listed.get(name) != _sha256(bag, name)
    ]
    report.wrong += [f"{name}: it is not as the list of tags has it" for name in wrong[:_SHOWN_NAMES]]


def _is_whole(bag: zipfile.ZipFile, file: IO[bytes]) -> bool:
    """Whether the members follow one another from the first octet on, and only the directory and its end come after.

    Their layout is that of the ZIP File Format Specification (APPNOTE 6.3.10), 4.3.7, 4.3.9, and 4.3.14 to 4.3.16.
    """
    at = 0
    for info in sorted(bag.infolist(), key=lambda info: info.header_offset):
        file.seek(at)
        magic, _, flags, method, _, _, *stated, name_size, extra_size = _LOCAL.unpack(file.read(_LOCAL.size))
        name, extra = file.read(name_size), file.read(extra_size)
        true = (info.CRC, info.compress_size, info.file_size)
        sizes = _WIDE.unpack(extra[_FIELD_HEAD:])[::-1] if len(extra) == _FIELD_HEAD + _WIDE.size else tuple(stated[1:])
        if (magic, flags, method, name) != (b"PK\3\4", info.flag_bits, info.compress_type, info.filename.encode()):
            return False
        if info.header_offset != at or info.comment or not _is_plain(extra):
            return False
        file.seek(at := at + _LOCAL.size + name_size + extra_size + info.compress_size)
        if flags & _DESCRIBED:
            after = [b"PK\7\x08" + width.pack(*true) for width in (_BEHIND, _BEHIND_WIDE)]
            read = file.read(len(after[1]))
            at += next((len(one) for one in reversed(after) if read.startswith(one)), len(read) + 1)
        elif (stated[0], *sizes) != true or stated[1:] not in ([_IN_WIDE] * 2, [*true[1:]]):
            return False  # Python before 3.11.4 writes the sizes in both places
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_WIDE.size - _LOCATOR - _END.size))
    tail = file.read()
    magic, *_, number, length, offset, comment = _END.unpack(tail[-_END.size :])
    behind = _END.size
    if _IN_WIDE in {length, offset} or number == _MANY:
        *_, length, offset = _END_WIDE.unpack(tail[: _END_WIDE.size])
        behind = len(tail)
    return (magic, offset, offset + length + behind, comment) == (b"PK\5\6", at, size, 0)


def _sha256(bag: zipfile.ZipFile, name: str) -> str:
    return hashlib.sha256(member(bag, name, MOST_LATER)).hexdigest()


def check_list(bag: zipfile.ZipFile, report: Findings) -> tuple[str, dict[str, str]]:
    """Check that the list names exactly the files that are there, and that no name can deceive another tool.

    Return the SHA-256 of the list, and the listed SHA-256 of each file that is there.
    """
    listed: dict[str, str] = {}
    list_hash = hashlib.sha256()
    with bag.open("manifest-sha256.txt") as lines:
        while line := lines.readline(_CHUNK):
            list_hash.update(line)
            sha256, _, name = line.decode().rstrip("\n").partition("  ")
            listed[name] = sha256
    names = bag.namelist()
    named = {name for name in names if len(name) <= _LONGEST_NAME}
    folders = {name[:at] for name in named for at, each in enumerate(name) if each == "/"}
    # A name that unpacks to another place, or over another file, would have an auditor's tools see something else.
    odd = [
        info.filename
        for info in bag.infolist()
        if (info.filename not in _TAGS and _NAME.fullmatch(info.filename) is None)
        or info.filename != info.orig_filename
        or not _is_plain(info.extra)
        or info.filename in folders
        or info.filename not in named
    ]
    shown = [name[:_LONGEST_NAME] for name in sorted(odd)[:_SHOWN_NAMES]]
    report.wrong += [f"{name!r}: no file of a bundle has such a name" for name in shown]
    present = {name for name in names if name.startswith("data/")}
    folded = Counter(name.casefold() for name in names)
    report.wrong += [f"{name}: it stands there twice" for name in sorted(set(names)) if folded[name.casefold()] > 1]
    report.wrong += [f"{name}: it is listed and missing" for name in sorted(listed.keys() - present)]
    report.wrong += [f"{name}: it is not listed" for name in sorted(present - listed.keys())]
    return list_hash.hexdigest(), {name: listed[name] for name in sorted(present & listed.keys())}


def check_files(bag: zipfile.ZipFile, listed: Mapping[str, str]) -> Findings:
    """Compare each file with the SHA-256 that is listed.

    Unpacking and hashing release the interpreter's lock: in a thread, this runs while the entries are checked.
    """
    report = Findings()
    for name, sha256 in listed.items():
        digest = hashlib.sha256()
        with bag.open(name) as file:
            while part := file.read(_CHUNK):
                digest.update(part)
        if digest.hexdigest() != sha256:
            report.wrong.append(f"{name}: it was changed after the bundle was made")
    report.checked.append(f"{len(listed)} files against their SHA-256")
    return report
