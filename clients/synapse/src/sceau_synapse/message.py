"""What of a Matrix event an analysis may touch, element by element, and whom the event is about.

Elements are those of article L32-3 I. A Matrix message has no subject line. Of an encrypted event the server can read
nothing but who sent it where: there is no content in it to ask about.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

_ENCRYPTED: Final = "m.room.encrypted"
_MESSAGES: Final = frozenset({"m.room.message", "m.sticker", _ENCRYPTED})
_MEMBER: Final = "m.room.member"
_PARTIES: Final = frozenset({"join", "invite"})
"""An invited user reads what was written before they came in: the first words of a direct chat, above all."""
_ATTACHMENT: Final = frozenset({"url", "file", "info", "filename"})
_NEW_CONTENT: Final = "m.new_content"
_NO_WORDS: Final = _ATTACHMENT | {"m.mentions", "msgtype", _NEW_CONTENT}


class Element(StrEnum):
    """What is secret of a correspondence (L32-3 I), as far as a Matrix message has it."""

    CONTENT = "content"
    CORRESPONDENT_IDENTITY = "correspondent_identity"
    ATTACHMENTS = "attachments"


class StateEvent(Protocol):
    """What is read of a room's state."""

    @property
    def content(self) -> Mapping[str, Any]:
        """Of a membership: `membership`."""


class RoomEvent(StateEvent, Protocol):
    """What is read of a new event."""

    @property
    def type(self) -> str:
        """Its type."""

    @property
    def room_id(self) -> str:
        """Its room."""

    @property
    def event_id(self) -> str:
        """Its id."""

    @property
    def sender(self) -> str:
        """Who sent it."""

    @property
    def origin_server_ts(self) -> int:
        """When, in milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was persisted. `content` and `attachments` are empty when it has none that can be read."""

    room_id: str
    event_id: str
    sender: str
    sent_at: int
    content: Mapping[str, Any]
    attachments: Mapping[str, Any]
    encrypted: bool

    def offers(self, elements: Iterable[Element]) -> bool:
        """Whether there is anything for an analysis of those elements: without it nobody is asked.

        An encrypted message offers who corresponds, and that to an analysis of nothing else.
        """
        wanted = frozenset(elements)
        if self.encrypted:
            return wanted == {Element.CORRESPONDENT_IDENTITY}
        present = {Element.CORRESPONDENT_IDENTITY}
        present |= {Element.CONTENT} if self.content else set()
        present |= {Element.ATTACHMENTS} if self.attachments else set()
        return not wanted.isdisjoint(present)


@dataclass(frozen=True, slots=True)
class Parties:
    """Who is party to a message: this server's users, in order, and whether there is anybody from elsewhere."""

    local: tuple[str, ...]
    remote: bool


def message_of(event: RoomEvent) -> Message | None:
    """The message in an event, or None when it is not one."""
    if event.type not in _MESSAGES:
        return None
    encrypted = event.type == _ENCRYPTED
    readable: Mapping[str, Any] = {} if encrypted else event.content
    return Message(
        room_id=event.room_id,
        event_id=event.event_id,
        sender=event.sender,
        sent_at=event.origin_server_ts,
        content=_content(readable),
        attachments=_attachments(readable),
        encrypted=encrypted,
    )


def parties_of(sender: str, state: Mapping[tuple[str, str], StateEvent], is_mine: Callable[[str], bool]) -> Parties:
    """The sender, and whoever has joined the room or is invited to it, by the room's present state."""
    users = {sender}
    users |= {
        user for (kind, user), event in state.items() if kind == _MEMBER and event.content.get("membership") in _PARTIES
    }
    local = {user for user in users if is_mine(user)}
    return Parties(tuple(sorted(local)), remote=local != users)


def _content(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The words: what is left without the attachment, and without whom they mention; of an edit, the new ones too."""
    kept = _words(content)
    edited = content.get(_NEW_CONTENT)
    if isinstance(edited, Mapping) and (words := _words(edited)):
        kept[_NEW_CONTENT] = words
    return {**kept, "msgtype": content["msgtype"]} if kept and "msgtype" in content else kept


def _words(content: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in content.items() if name not in _NO_WORDS}
    if _has_file(content) and content.get("filename", content.get("body")) == content.get("body"):
        kept.pop("body", None)  # it is the file's name, not a caption
    return kept


def _attachments(content: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(edited := content.get(_NEW_CONTENT), Mapping) and _has_file(edited):
        content = edited
    if not _has_file(content):
        return {}
    kept = {name: value for name, value in content.items() if name in _ATTACHMENT}
    return {"filename": content.get("body"), **kept}


def _has_file(content: Mapping[str, Any]) -> bool:
    return "url" in content or "file" in content
