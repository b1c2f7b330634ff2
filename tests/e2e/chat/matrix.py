"""A Matrix client in a few words: the client-server API over HTTP, and Synapse's registration by shared secret."""

import hashlib
import hmac
from itertools import count
from typing import Any

import httpx2

from tests.faults.service import eventually

_transactions = count(1)


class MatrixUser:
    """One account and its session."""

    def __init__(self, client: httpx2.Client, name: str, shared_secret: str) -> None:
        """Register and log in, over a client of the homeserver's address."""
        self._client, self._headers = client, dict[str, str]()
        self._since, self._seen = "", dict[str, dict[str, Any]]()
        nonce = self._call("GET", "/_synapse/admin/v1/register")["nonce"]
        signed = f"{nonce}\0{name}\0secret\0notadmin".encode()
        mac = hmac.new(shared_secret.encode(), signed, hashlib.sha1).hexdigest()
        account = {"nonce": nonce, "username": name, "password": "secret", "admin": False, "mac": mac}
        made = self._call("POST", "/_synapse/admin/v1/register", account)
        self.id: str = made["user_id"]
        self._headers["Authorization"] = f"Bearer {made['access_token']}"

    def create_room(self, *invited: "MatrixUser", name: str = "", joining: bool = True) -> str:
        """A private room with others, who join unless said otherwise; its id."""
        body = {"preset": "private_chat", "name": name, "invite": [each.id for each in invited]}
        room: str = self._call("POST", "/_matrix/client/v3/createRoom", body)["room_id"]
        for each in invited if joining else ():
            each._call("POST", f"/_matrix/client/v3/join/{room}", {})
        return room

    def join(self, room: str) -> None:
        """Accept an invitation."""
        self._call("POST", f"/_matrix/client/v3/join/{room}", {})

    def leave(self, room: str) -> None:
        """Leave."""
        self._call("POST", f"/_matrix/client/v3/rooms/{room}/leave", {})

    def send(self, room: str, body: str, /, kind: str = "m.room.message", **content: Any) -> str:
        """Send a text, or another kind of event; its id."""
        text = {"msgtype": "m.text", "body": body} if kind == "m.room.message" else {}
        path = f"/_matrix/client/v3/rooms/{room}/send/{kind}/{next(_transactions)}"
        event: str = self._call("PUT", path, {**text, **content})["event_id"]
        return event

    def receives(self, event: str) -> dict[str, Any]:
        """The event, once this user's own synchronisation has brought it."""
        seen: dict[str, Any] = eventually(lambda: self._seen.get(event) or self.synchronise().get(event))
        return seen

    def synchronise(self) -> dict[str, dict[str, Any]]:
        """What is new since the last time, by id; it is waited for a little, as clients do."""
        after = f"?timeout=500&since={self._since}" if self._since else ""
        answered = self._call("GET", f"/_matrix/client/v3/sync{after}")
        self._since = answered["next_batch"]
        joined = answered.get("rooms", {}).get("join", {}).values()
        new = {each["event_id"]: each for room in joined for each in room["timeline"]["events"]}
        self._seen |= new
        return new

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json=body, headers=self._headers)
        assert answer.status_code == 200, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()
