"""The API over HTTP, as any caller sees it: a base address, a key, JSON in and out."""

from collections.abc import Mapping
from typing import Any

import httpx2

from demo.refusal import Refused

_SECONDS = 30


class Client:
    """A caller with one key, over one kept connection; proxies that the environment names are not used."""

    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=_SECONDS, trust_env=False)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """The status and the JSON of an answer, whatever the status.

        Raises:
            Refused: the service cannot be reached, or does not know the key.

        """
        try:
            answer = self._http.request(method, path, json=body)
        except httpx2.TransportError as error:
            raise Refused(f"the service stopped answering ({type(error).__name__})") from None
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            raise Refused("the service does not know the key in its data directory: revoked, or of other data")
        return answer.status_code, answer.json() if answer.content else None

    def must(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """The JSON of an answer that has to be a success.

        Raises:
            Refused: it is none, with what the problem document says.

        """
        status, told = self.ask(method, path, body)
        if not httpx2.codes.is_success(status):
            detail = told.get("detail", told.get("title")) if isinstance(told, dict) else None
            raise Refused(f"{method} {path} was answered {status}: {detail}")
        return told

    def text(self, path: str) -> str:
        """The text of a GET that has to be a success.

        Raises:
            Refused: it is none, or the service cannot be reached.

        """
        try:
            answer = self._http.get(path)
        except httpx2.TransportError as error:
            raise Refused(f"the service stopped answering ({type(error).__name__})") from None
        if not answer.is_success:
            raise Refused(f"GET {path} was answered {answer.status_code}")
        return answer.text

    def another(self, key: str) -> "Client":
        """The same service, called with another key."""
        return Client(str(self._http.base_url), key)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()
