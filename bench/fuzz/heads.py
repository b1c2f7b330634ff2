"""Requests as bytes: heads as clients send them, heads that mean the same, and heads that are wrong.

What bytes mean is for `bench.fuzz.reading` to say. `odd` marks those that one server may refuse and another read.
"""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Final

from bench.fuzz.facts import Holder
from bench.fuzz.oracle import MOST_BYTES

ACCEPTS: Final = (
    *("application/json", "*/*", "text/plain", "TEXT/plain", "text/*", "text/plain;charset=utf-8", "text/html"),
    *("text/plain, application/json;q=0.9", "text/plain, application/json", "text/plain;q=0.5, application/json"),
    *("application/json;q=0.5,text/plain;q=0.6", "text/plain,*/*;q=0.1", "text/plain;q=0", ""),
)
_CONTENT_TYPES: Final = (
    *("application/json; charset=utf-8", "APPLICATION/JSON", "application/json;x=y", "application/json ;", "text/json"),
    *("application/jsonx", "application/x-www-form-urlencoded", "", "application/json, text/plain"),
)
_BAD_LINES: Final = (
    *(("Bad Name", "x"), ("X-Null", "a\0b"), ("X-Cr", "a\rb"), ("X:", "x"), ("", "x")),
    *(("Transfer-Encoding", "chunked, identity"), ("Transfer-Encoding ", "chunked")),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it is sent.

    `odd`: it may be refused as malformed, whatever another reader makes of
    it. `mark`: its X-Request-ID, if it has one of its own.
    """

    data: bytes
    odd: bool = False
    mark: str = ""


@dataclass(slots=True)
class _Draft:
    """A request in parts, before it is written."""

    target: str
    fields: list[tuple[str, str]]
    body: bytes
    method: str = "POST"
    version: str = "1.1"
    length: str | None = ""
    odd: bool = False
    blank: bytes = b""
    ending: str = "\r\n"
    framed: bytes | None = None
    mark: str = ""


@dataclass(slots=True)
class Heads:
    """Writes requests; `number` counts those with an X-Request-ID of their own, `without` names variants left out."""

    chance: random.Random
    without: Collection[str] = ()
    number: int = 0
    _variants: list[Callable[[_Draft], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Know every variant."""
        self._variants = [
            *[self._permuted, self._cased, self._unknown_fields, self._spaced, self._accepts, self._content_type],
            *[self._chunked, self._chunked, self._version, self._closing, self._query, self._target, self._expect],
            *[self._length_odd, self._lengths, self._folded, self._line_ends, self._upgrade, self._method, self._blank],
            *[
                self._authorization,
                self._absolute,
                self._many_fields,
                self._trailers,
                self._bad_line,
                self._broken_chunks,
            ],
        ]
        self._variants = [each for each in self._variants if each.__name__.lstrip("_") not in self.without]

    def plain(self, path: str, body: bytes, holder: Holder, *, accept: str = "", marked: bool = False) -> Sent:
        """A request as usual clients send it: with the same head each time, unless it is marked."""
        draft = self._draft(path, body, holder, accept, marked=marked)
        return self._written(draft)

    def varied(self, path: str, body: bytes, holder: Holder, other: Holder) -> Sent:
        """A request with some of the variants; `other` is somebody who may stand in a second Authorization."""
        accept = self.chance.choice(ACCEPTS) if self.chance.random() < 0.3 else ""  # noqa: PLR2004 - a share
        draft = self._draft(path, body, holder, accept, marked=self.chance.random() < 0.7)  # noqa: PLR2004
        for change in self.chance.sample(self._variants, self.chance.choice([1, 1, 2, 3])):
            change(draft)
        if self.chance.random() < 0.2 and other.authorization:  # noqa: PLR2004
            draft.fields.append(("Authorization", other.authorization))
        return self._written(draft)

    def _draft(self, path: str, body: bytes, holder: Holder, accept: str, *, marked: bool) -> _Draft:
        fields = [("Host", "test")]
        if holder.authorization is not None:
            fields.append(("Authorization", holder.authorization))
        fields.append(("Content-Type", "application/json"))
        if accept:
            fields.append(("Accept", accept))
        draft = _Draft(path, fields, body)
        if marked:
            self.number += 1
            draft.mark = f"r-{self.number}"
            draft.fields.append(("X-Request-ID", draft.mark))
        return draft

    def _written(self, draft: _Draft) -> Sent:
        fields, end = list(draft.fields), draft.ending
        if draft.length is not None:
            fields.append(("Content-Length", draft.length or str(len(draft.body))))
        lines = [f"{draft.method} {draft.target} HTTP/{draft.version}", *(f"{name}:{_value(v)}" for name, v in fields)]
        head = (end.join(lines) + end + end).encode("latin-1")
        body = draft.framed if draft.framed is not None else draft.body
        return Sent(draft.blank + head + body, draft.odd, draft.mark)

    # --- what means the same ----------------------------------------------------------------------------------------

    def _permuted(self, draft: _Draft) -> None:
        self.chance.shuffle(draft.fields)

    def _cased(self, draft: _Draft) -> None:
        case = self.chance.choice([str.lower, str.upper, str.swapcase])
        draft.fields = [(case(name), value) for name, value in draft.fields]

    def _unknown_fields(self, draft: _Draft) -> None:
        for _ in range(self.chance.choice([1, 2, 20])):
            name = self.chance.choice(
                ["X-Authorization", "Authorizations", "X-Subject", "Cookie", "Content-Types", "Via"]
            )
            at = self.chance.randrange(len(draft.fields) + 1)
            draft.fields.insert(at, (name, self.chance.choice(["x", "", "Bearer x", "text/plain", "é"])))

    def _spaced(self, draft: _Draft) -> None:
        draft.fields = [
            (name, f"\0{self.chance.choice(['', ' ', '  ', chr(9)])}{value}{self.chance.choice(['', ' ', '  '])}")
            for name, value in draft.fields
        ]

    def _accepts(self, draft: _Draft) -> None:
        if any(name.lower() == "accept" for name, _ in draft.fields):
            return
        for accept in (self.chance.choice(["application/json;q=0.2", "application/json"]), "text/plain"):
            draft.fields.insert(self.chance.randrange(len(draft.fields) + 1), ("Accept", accept))

    def _query(self, draft: _Draft) -> None:
        draft.target += self.chance.choice(["?x", "?", "?subject=x", "?x=%00"])

    def _chunked(self, draft: _Draft) -> None:
        """The body in chunks of any size, with extensions."""
        draft.fields.append(("Transfer-Encoding", self.chance.choice(["chunked", "Chunked", "chunked"])))
        draft.length, framed, rest = None, b"", draft.body
        while rest:
            size = self.chance.choice([1, 2, 7, 50, len(rest)])
            piece, rest = rest[:size], rest[size:]
            digits = self.chance.choice([b"%x", b"%X", b"0%x"]) % len(piece)
            framed += digits + self.chance.choice([b"", b"", b";a=b"]) + b"\r\n" + piece + b"\r\n"
        draft.framed = framed + b"0\r\n\r\n"

    def _trailers(self, draft: _Draft) -> None:
        """Chunks, and after them fields that are no part of the head: a credential, a type, a preference."""
        if draft.length is None:
            return
        authorization = next((value for name, value in draft.fields if name == "Authorization"), "")
        self._chunked(draft)
        if self.chance.random() < 0.5:  # noqa: PLR2004 - half
            draft.fields = [each for each in draft.fields if each[0] != "Authorization"]
        name, value = self.chance.choice(
            [("Authorization", authorization), ("Accept", "text/plain"), ("Content-Type", "text/plain"), ("X-T", "x")]
        )
        trailer = f"0\r\n{name}: {value}\r\n\r\n".encode("latin-1")
        draft.framed = (draft.framed or b"").removesuffix(b"0\r\n\r\n") + trailer

    def _authorization(self, draft: _Draft) -> None:
        scheme = self.chance.choice(["bearer", "BEARER", "Bearer ", "Bearer   ", "Bearer\t", "Token", "Bearerx", ""])
        draft.fields = [
            (name, value.replace("Bearer", scheme, 1) if name == "Authorization" else value)
            for name, value in draft.fields
        ]

    def _content_type(self, draft: _Draft) -> None:
        written = self.chance.choice(_CONTENT_TYPES)
        if self.chance.random() < 0.4:  # noqa: PLR2004 - a share
            draft.fields.append(("Content-Type", written))
        else:
            draft.fields = [(name, written if name == "Content-Type" else value) for name, value in draft.fields]

    def _version(self, draft: _Draft) -> None:
        draft.version = "1.0"
        if draft.framed is not None:
            draft.odd = True  # chunks came with HTTP/1.1
        if self.chance.random() < 0.5:  # noqa: PLR2004 - half
            draft.fields.append(("Connection", "keep-alive"))

    def _closing(self, draft: _Draft) -> None:
        draft.fields.append(("Connection", self.chance.choice(["close", "Close", "keep-alive, close", "keep-alive"])))

    def _expect(self, draft: _Draft) -> None:
        draft.odd = draft.odd or len(draft.body) > MOST_BYTES  # what was not asked for may come or not: it closes
        draft.fields.append(("Expect", self.chance.choice(["100-continue", "100-Continue", "100-continue"])))

    def _target(self, draft: _Draft) -> None:
        """Another path, or the same one written otherwise."""
        last = draft.target[-2:]
        draft.target = self.chance.choice(
            [
                draft.target.replace(last, f"%{ord(last[0]):02x}{last[1:]}"),
                draft.target + "/",
                "/access/v1/evaluationss",
                draft.target.upper(),
                "//access/v1/evaluation",
            ]
        )

    def _absolute(self, draft: _Draft) -> None:
        draft.target = f"http://test{draft.target}"

    def _method(self, draft: _Draft) -> None:
        draft.method = self.chance.choice(["PUT", "PATCH", "DELETE", "OPTIONS"])

    # --- what a server may refuse -----------------------------------------------------------------------------------

    def _blank(self, draft: _Draft) -> None:
        draft.blank, draft.odd = self.chance.choice([b"\r\n", b"\r\n\r\n"]), True

    def _length_odd(self, draft: _Draft) -> None:
        """A length that is not the body's, or no number."""
        if draft.length is None:
            return
        size, draft.odd = len(draft.body), True
        wrong = [str(size - 1), str(size + 1), str(size + 40), "0", f"0{size}", f"+{size}", f"{size} ", "-1", "x"]
        wrong += [f"{size},{size}", f"{size} {size}", f"{size}.0", f"0x{size:x}", "9" * 25]
        draft.length = self.chance.choice(wrong)

    def _lengths(self, draft: _Draft) -> None:
        """Two lengths, or a length beside chunks."""
        draft.odd = True
        size = len(draft.framed or draft.body)
        draft.fields.append(("Content-Length", self.chance.choice([str(size), str(size - 1), "0", str(size + 5)])))

    def _folded(self, draft: _Draft) -> None:
        """A value over two lines."""
        draft.odd = True
        at = self.chance.randrange(len(draft.fields))
        name, value = draft.fields[at]
        cut = self.chance.randrange(len(value) + 1)
        draft.fields[at] = (name, f"{value[:cut]}\r\n{self.chance.choice([' ', chr(9)])}{value[cut:]}")

    def _line_ends(self, draft: _Draft) -> None:
        draft.odd, draft.ending = True, "\n"

    def _upgrade(self, draft: _Draft) -> None:
        draft.odd = True
        draft.fields += [("Connection", "Upgrade"), ("Upgrade", self.chance.choice(["websocket", "h2c", "x"]))]

    def _many_fields(self, draft: _Draft) -> None:
        """More fields than are taken, or a longer head."""
        draft.odd = True
        number, size = self.chance.choice([(120, 1), (30, 1_500)])
        draft.fields[1:1] = [(f"X-{each}", "x" * size) for each in range(number)]

    def _broken_chunks(self, draft: _Draft) -> None:
        """A body that breaks: a chunk without a size, first or last, or too many fields behind the chunks."""
        if draft.length is None:
            return
        self._chunked(draft)
        draft.odd = True
        whole = (draft.framed or b"").removesuffix(b"0\r\n\r\n")
        no_size, fields = b"ZZ\r\n\r\n", b"0\r\n" + b"X-T: x\r\n" * 120 + b"\r\n"
        draft.framed = self.chance.choice([no_size, whole + no_size, whole + fields])

    def _bad_line(self, draft: _Draft) -> None:
        draft.odd = True
        name, value = self.chance.choice(_BAD_LINES)
        draft.fields.insert(self.chance.randrange(1, len(draft.fields) + 1), (name, value))


def _value(value: str) -> str:
    """A field's value with the blank before it; one that begins with NUL has its own blanks."""
    return value[1:] if value.startswith("\0") else f" {value}"


def garbage(chance: random.Random) -> Sent:
    """Bytes that are no request."""
    pieces = [b"\x16\x03\x01\x02\x00\x01", b"GARBAGE\r\n\r\n", b"{}\r\n\r\n", b"POST\r\n\r\n", b"\0" * 9 + b"\r\n\r\n"]
    pieces += [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /access/v1/evaluation HTTP/9.9\r\n\r\n",
    ]
    return replace(Sent(chance.choice(pieces)), odd=True)
