"""An XMPP client in a few words: a socket, a pull parser, PLAIN on loopback (RFC 6120, 6121)."""

import base64
import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import cast
from xml.etree import ElementTree as ET

from tests.faults.service import HANGS

STREAM = "{http://etherx.jabber.org/streams}"
CLIENT = "{jabber:client}"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
_BIND = "urn:ietf:params:xml:ns:xmpp-bind"
_ids = count(1)


class XmppUser:
    """One account's only session, available for messages."""

    def __init__(self, address: tuple[str, int], name: str, host: str, resource: str = "test") -> None:
        """Log in with the name as the password, bind, and be there."""
        self.bare, self.name, self._host = f"{name}@{host}", name, host
        self.id = self.bare  # by which Sceau knows a user
        self.full = f"{self.bare}/{resource}"
        self._socket = socket.create_connection(address)
        self._socket.settimeout(HANGS)
        self._open()
        credentials = base64.b64encode(f"\0{name}\0{name}".encode()).decode()
        self.write(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{credentials}</auth>")
        assert next(self._children).tag == f"{{{SASL}}}success"
        self._open()
        self.write(f"<iq type='set' id='bind'><bind xmlns='{_BIND}'><resource>{resource}</resource></bind></iq>")
        assert next(self._children).get("type") == "result"
        self.write("<presence/>")
        self.until(lambda each: each.tag == f"{CLIENT}presence")

    def send(self, to: str, body: str | None, *, kind: str = "chat", extra: str = "") -> str:
        """Send a message; its id."""
        identifier = f"m{next(_ids)}"
        content = "" if body is None else f"<body>{body}</body>"
        self.write(f"<message type='{kind}' id='{identifier}' to='{to}'>{content}{extra}</message>")
        return identifier

    def receives(self, identifier: str) -> ET.Element:
        """The message of an id, once it arrives; what else arrives before is passed over."""
        return self.until(lambda each: each.tag == f"{CLIENT}message" and each.get("id") == identifier)

    def join(self, room: str) -> None:
        """Enter a room, which is made if it is not there; comes back once its subject has come, as the last of it."""
        self.write(f"<presence to='{room}/{self.name}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        self.until(lambda each: each.find(f"{CLIENT}subject") is not None)

    def ask_for_copies(self) -> None:
        """Have copies sent here of what the account's other sessions receive (XEP-0280)."""
        self.write("<iq type='set' id='copies'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        assert self.until(lambda each: each.get("id") == "copies").get("type") == "result"

    def affiliate(self, room: str, user: str, affiliation: str) -> None:
        """Say who belongs to a room of one's own, as `member` or as `none`."""
        item = f"<item jid='{user}' affiliation='{affiliation}'/>"
        query = f"<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>"
        self.write(f"<iq type='set' id='affiliate' to='{room}'>{query}</iq>")
        assert self.until(lambda each: each.get("id") == "affiliate").get("type") == "result"

    def until(self, wanted: Callable[[ET.Element], bool]) -> ET.Element:
        """The next stanza of a kind."""
        return next(each for each in self._children if wanted(each))

    def write(self, text: str) -> None:
        """Send XML as it is."""
        self._socket.sendall(text.encode())

    def close(self) -> None:
        """Go away."""
        self._socket.close()

    def _open(self) -> None:
        """Begin a stream, and pass over its features."""
        self.write(
            f"<stream:stream to='{self._host}' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        self._children = self._read()
        assert next(self._children).tag == f"{STREAM}features"

    def _read(self) -> Iterator[ET.Element]:
        """The children of the stream, each once it is whole."""
        parser: ET.XMLPullParser[ET.Element] = ET.XMLPullParser(("start", "end"))
        depth = 0
        while True:
            part = self._socket.recv(65536)
            if not part:
                raise ConnectionError("the server hung up")
            parser.feed(part)
            for read in parser.read_events():
                event, element = cast("tuple[str, object]", read)
                depth += 1 if event == "start" else -1
                if depth == 1 and event == "end" and isinstance(element, ET.Element):
                    yield element
