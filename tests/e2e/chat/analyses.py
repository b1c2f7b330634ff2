"""What a test gives Synapse beside the README's analysis: two more, and a filter of unsolicited messages.

Synapse imports this file alone, from the scratch folder that it is copied to.
"""

import json
import os
from pathlib import Path
from typing import Any

from synapse.module_api import NOT_SPAM, EventBase, ModuleApi

from sceau_synapse.permitted import Permitted


async def write_correspondents(message: Permitted) -> None:
    """Write down everything that was handed over."""
    names = ("sender", "local_members", "content", "attachments", "event_id")
    _write(Path(os.environ["CORRESPONDENTS"]), {name: getattr(message, name) for name in names})


def raise_what_was_read(message: Permitted) -> None:
    """Fail, as code does, with the words in the message of the exception."""
    raise RuntimeError(str(message.content))


class Filter:
    """A module for an exempt processing (L32-3 III), as filters are: it asks nobody and sees every message."""

    def __init__(self, config: dict[str, Any], api: ModuleApi) -> None:
        """Register as Synapse's filters do."""
        self._file = Path(config["file"])
        api.register_spam_checker_callbacks(check_event_for_spam=self.check)

    @staticmethod
    def parse_config(config: dict[str, Any]) -> dict[str, Any]:
        """Take it as it is."""
        return config

    async def check(self, event: EventBase) -> Any:
        """Write down the words that were filtered."""
        if event.type == "m.room.message":
            _write(self._file, {"body": event.content.get("body")})
        return NOT_SPAM


def _write(file: Path, value: object) -> None:
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(value) + "\n")
