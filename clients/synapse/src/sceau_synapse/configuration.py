"""The module's configuration, checked when Synapse starts: what is missing or wrong is said in one line.

It reads two files, the caller's key and the secret of the handles, so that neither stands in homeserver.yaml.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from sceau_synapse.message import Element
from sceau_synapse.permitted import Permitted

OnPermit = Callable[[Permitted], object]
"""What runs on a permit: a plain function (run in a thread) or a coroutine function (run on the reactor)."""

MOST_ITEMS: Final = 1_000
"""Questions that Sceau takes in one request."""
_EVALUATIONS: Final = "/access/v1/evaluations"
_KNOWN: Final = frozenset(
    {
        "edge_socket", "federated", "key_file", "max_in_flight", "max_local_members", "participants", "processings",
        "secret_file", "subject_type", "territory", "timeout", "url", "worker",
    }
)  # fmt: skip
_KNOWN_OF_PROCESSING: Final = frozenset({"id", "elements", "on_permit"})
_LONGEST_TIMEOUT: Final = 30.0
_SHORTEST_SECRET: Final = 32


class ConfigurationProblem(ValueError):
    """The configuration cannot be used; the message says which key and why."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One processing that asks before it runs: its id in Sceau's register, what it touches, what it does."""

    processing: str
    elements: frozenset[Element]
    on_permit: OnPermit


@dataclass(frozen=True, slots=True)
class Configuration:
    """What an operator chose. `timeout` is in seconds, `worker` None means the main process.

    `participants`: whether each question names the room's other local members and says that there are remote ones.
    `federated`: whether messages that users of other servers sent are asked about too.
    """

    url: str
    key: str
    secret: bytes
    gates: tuple[Gate, ...]
    timeout: float = 1.0
    territory: str = "FR"
    subject_type: str = "mxid"
    worker: str | None = None
    edge_socket: str | None = None
    federated: bool = False
    participants: bool = True
    max_local_members: int = 50
    max_in_flight: int = 100

    def __repr__(self) -> str:
        """Neither key nor secret."""
        return f"Configuration({[gate.processing for gate in self.gates]})"


def read_configuration(given: object) -> Configuration:
    """Check what homeserver.yaml says under `config:`.

    Raises:
        ConfigurationProblem: something is missing, unknown, of a wrong type, or cannot be read or imported.

    """
    values = _mapping(given, "config")
    _no_others(values, _KNOWN, "")
    gates = _gates(values.get("processings"))
    members = _whole(values, "max_local_members", 50, MOST_ITEMS)
    if members * len(gates) > MOST_ITEMS:
        raise ConfigurationProblem(
            f"max_local_members times the number of processings is over {MOST_ITEMS}, the most that one request asks"
        )
    return Configuration(
        url=_url(values.get("url")),
        key=_key(values.get("key_file")),
        secret=_secret(values.get("secret_file")),
        gates=gates,
        timeout=_timeout(values.get("timeout", 1.0)),
        territory=_word(values, "territory", "FR"),
        subject_type=_word(values, "subject_type", "mxid"),
        worker=_word(values, "worker", "") or None,
        edge_socket=_edge_socket(values),
        federated=_flag(values, "federated", default=False),
        participants=_flag(values, "participants", default=True),
        max_local_members=members,
        max_in_flight=_whole(values, "max_in_flight", 100, 10_000),
    )


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigurationProblem(f"{name} must be a mapping")
    return value


def _no_others(values: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise ConfigurationProblem(f"unknown: {', '.join(where + name for name in unknown)}")


def _url(value: object) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationProblem("url must be Sceau's address, like https://sceau.example.fr")
    if parts.username or parts.password:
        raise ConfigurationProblem("url must hold no credentials: the key comes by key_file")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}{_EVALUATIONS}"


def _key(path: object) -> str:
    key = _file(path, "key_file")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationProblem("key_file must hold one key, and nothing else")
    return key


def _secret(path: object) -> bytes:
    secret = _file(path, "secret_file").encode()
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationProblem(f"secret_file must hold at least {_SHORTEST_SECRET} characters, made by chance")
    return secret


def _file(path: object, name: str) -> str:
    if not isinstance(path, str):
        raise ConfigurationProblem(f"{name} must be the path of a file")
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        # Never the path: somebody may have put the secret itself there.
        raise ConfigurationProblem(f"{name} is no path of a file that can be read: {type(error).__name__}") from None
    if not text:
        raise ConfigurationProblem(f"{name} is empty")
    return text


def _timeout(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_TIMEOUT:
        raise ConfigurationProblem(f"timeout must be seconds, more than 0 and at most {_LONGEST_TIMEOUT:g}")
    return float(value)


def _word(values: Mapping[str, Any], name: str, default: str) -> str:
    value = values.get(name, default)
    if not isinstance(value, str):
        raise ConfigurationProblem(f"{name} must be a text")
    return value


def _edge_socket(values: Mapping[str, Any]) -> str | None:
    path = _word(values, "edge_socket", "") or None
    if path is not None and importlib.util.find_spec("sceau_client") is None:
        raise ConfigurationProblem("edge_socket needs the package sceau-client in Synapse's environment")
    return path


def _flag(values: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = values.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationProblem(f"{name} must be true or false")
    return value


def _whole(values: Mapping[str, Any], name: str, default: int, most: int) -> int:
    value = values.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationProblem(f"{name} must be a whole number from 1 to {most}")
    return value


def _gates(value: object) -> tuple[Gate, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigurationProblem("processings must list at least one processing")
    gates = tuple(_gate(_mapping(each, f"processings[{place}]"), place) for place, each in enumerate(value))
    if len({gate.processing for gate in gates}) < len(gates):
        raise ConfigurationProblem("processings names one id twice")
    return gates


def _gate(values: Mapping[str, Any], place: int) -> Gate:
    where = f"processings[{place}]."
    _no_others(values, _KNOWN_OF_PROCESSING, where)
    identifier = values.get("id")
    if not isinstance(identifier, str) or not identifier:
        raise ConfigurationProblem(f"{where}id must be the processing's id in Sceau's register")
    return Gate(identifier, _elements(values.get("elements"), where), _callable(values.get("on_permit"), where))


def _elements(value: object, where: str) -> frozenset[Element]:
    words = [element.value for element in Element]
    if not isinstance(value, list) or not value or any(word not in words for word in value):
        raise ConfigurationProblem(
            f"{where}elements must list what the analysis touches: {', '.join(words)} (Matrix messages have no "
            "subject line)"
        )
    return frozenset(Element(word) for word in value)


def _callable(value: object, where: str) -> OnPermit:
    module, _, name = value.rpartition(".") if isinstance(value, str) else ("", "", "")
    if not module or not name:
        raise ConfigurationProblem(f"{where}on_permit must name a function, like my_package.my_function")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigurationProblem(f"{where}on_permit cannot be imported: {error}") from None
    if not callable(found):
        raise ConfigurationProblem(f"{where}on_permit names something that cannot be called")
    return found  # type: ignore[no-any-return]  # what it takes and gives is the operator's to keep
