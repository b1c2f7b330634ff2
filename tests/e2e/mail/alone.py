"""Rspamd without the rest, with stand-ins for analyses, and what its client asks for a message."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.mail.letters import OUTSIDER, Letter
from tests.e2e.mail.rspamd import redis, rspamd
from tests.e2e.mail.world import Alone, rspamd_files, scratch
from tests.e2e.service import Sceau
from tests.e2e.wiretap import Heard, tapped

Files = dict[str, str]

# Stand-ins for analyses: each is seen in what a scan finds.
_SYMBOLS = """
for _, name in ipairs({ 'ANALYSED', 'BY_EVERYONE', 'BY_BOTH', 'SPAM_ANALYSIS' }) do
  rspamd_config:register_symbol({ name = name, score = 0.0, callback = function() return true, 1.0 end })
end
rspamd_config:register_symbol({
  name = 'FAULT', type = 'prefilter', priority = 1, flags = 'empty,nostat', callback = function(task)
    if task:get_request_header('Fault') then
      task:cache_set('sceau', setmetatable({}, { __index = function() error('a fault inside the gate') end }))
    end
  end,
})
"""
_MORE = """
recipient_delimiter = "+";
login_domain = "example.fr";
aliases = "@folder@/aliases";
processings {
  "ads-everyone" {
    party_mode = "all_parties";
    elements = ["content"];
    symbols = ["BY_EVERYONE", "BY_BOTH"];
  }
"""
_ALIASES = """
ventes@example.fr alice@example.fr,carol@example.fr
contact@example.fr alice@example.fr
perso+liste@example.fr Carol@EXAMPLE.fr
dehors@example.fr alice@example.fr,zq-outsider@ailleurs.example
"""


def files_for(sceau: Sceau, folder: Path, address: str) -> Files:
    """The README's settings with stand-ins for analyses, and with the settings that it tells of besides."""
    files = rspamd_files(sceau, folder, address)
    (folder / "aliases").write_text(_ALIASES)
    settings = files["local.d/sceau.conf"].replace("processings {", _MORE, 1)
    settings = settings.replace('local_domains = ["example.fr"]', 'local_domains = ["example.fr", "Café.example"]')
    settings = settings.replace('"EXPORT_METADATA_ads"', '"ANALYSED", "BY_BOTH", "MISSPELT"')
    files["local.d/sceau.conf"] = settings.replace("exempt = true;", 'exempt = true;\n    symbols = ["SPAM_ANALYSIS"];')
    files["lua.local.d/symbols.lua"] = _SYMBOLS
    return files


@contextlib.contextmanager
def started(
    sceau: Sceau,
    change: Callable[[Files], Files] = lambda files: files,
    *,
    settings: Callable[[Sceau, Path, str], Files] = files_for,
    without: str = "",
) -> Iterator[Alone]:
    """Rspamd alone on these settings, changed; `without` as of `rspamd`."""
    with contextlib.ExitStack() as kept:
        folder = kept.enter_context(scratch())
        tap = kept.enter_context(tapped(sceau.address))
        port = kept.enter_context(redis(folder / "redis"))
        files = change(settings(sceau, folder / "rspamd", tap.address))
        yield Alone(kept.enter_context(rspamd(folder / "rspamd", port, files, without=without)), tap)


def changed(*pairs: tuple[str, str]) -> Callable[[Files], Files]:
    """Change the settings of the client: what stands there, and what shall."""

    def change(files: Files) -> Files:
        text = files["local.d/sceau.conf"]
        for before, after in pairs:
            assert before in text, before
            text = text.replace(before, after, 1)
        return {**files, "local.d/sceau.conf": text}

    return change


def scanned(
    alone: Alone, *recipients: str, sender: str = OUTSIDER, named: Sequence[str] | None = None, **headers: Any
) -> tuple[set[str], list[Heard]]:
    """What a scan found, and the requests that it led to. `named`: whom the header names, if not the recipients."""
    mark = len(alone.tap.heard)
    letter = Letter(named or recipients, sender=sender)
    headers["Rcpt"] = [each.encode() for each in recipients]
    symbols = alone.rspamd.symbols(letter.raw, From=sender, **headers)
    return symbols, alone.tap.since(mark)


def asked_about(requests: list[Heard]) -> set[str]:
    """The users that were asked about."""
    (request,) = requests
    return {each["subject"]["id"] for each in request.json["evaluations"]}


def participants(requests: list[Heard], processing: str) -> dict[str, Any]:
    """The participants of the questions about a processing, by the user asked about."""
    (request,) = requests
    return {
        each["subject"]["id"]: each["resource"]["properties"].get("participants")
        for each in request.json["evaluations"]
        if each["action"]["name"] == processing
    }
