"""What the person at the terminal sees: tables of at most 80 columns, addresses shortened unless asked otherwise."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.consents import Recorded
from demo.enforcement import Decided, Timing
from demo.letters import domain_of

_KEPT: Final = 2
_ADDRESS_WIDTH: Final = 20
_WIDEST: Final = 100
_PARAGRAPHS: Final = {"L32-3 III": "III: exempt", "L32-3 IV": "IV: consent needed", None: "in neither III nor IV"}
Tally = Mapping[tuple[str, bool, str, str], int]


class Addresses:
    """How an address is shown."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, address: str) -> str:
        """The address, its local part shortened unless whole ones are asked for."""
        if self._whole:
            return address
        local = address.rpartition("@")[0]
        return f"{local[: min(_KEPT, len(local) - 1)]}…@{domain_of(address)}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        if name == "user":
            table.add_column(name, max_width=_ADDRESS_WIDTH, no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(name, justify="right" if name in {"no.", "times"} else "left", overflow="fold")
    return table


def _answer(permitted: bool) -> Text:  # noqa: FBT001 - the one thing it shows
    return Text("PERMIT", "bold green") if permitted else Text("deny", "red")


def register_table(register: Iterable[Mapping[str, Any]]) -> Table:
    """What is registered, and which paragraph governs it."""
    table = _table("processing", "purpose", "paragraph of L32-3")
    for each in register:
        paragraph = _PARAGRAPHS[each.get("paragraph")]
        suspended = "" if each["status"] == "active" else f" ({each['status']})"
        table.add_row(Text(each["id"] + suspended), each["purpose"], paragraph)
    return table


def consents_table(recorded: Iterable[Recorded], show: Addresses) -> Table:
    """What was recorded for whom, and the state that the service says it is in."""
    table = _table("user", "processing", "decision", "state now")
    for each in recorded:
        table.add_row(Text(show(each.user)), each.wish.processing, each.wish.how, Text(each.state))
    return table


def decisions_table(decided: Iterable[Decided], show: Addresses) -> Table:
    """One row for each decision; a message's number and a user stand once."""
    table = _table("no.", "user", "processing", "answer", "reason", "L32-3")
    before: Decided | None = None
    for each in decided:
        same_letter = before is not None and before.letter == each.letter
        same_user = before is not None and same_letter and before.user == each.user
        table.add_row(
            "" if same_letter else str(each.letter),
            Text("" if same_user else show(each.user)),
            Text(each.processing),
            _answer(each.permitted),
            each.reason,
            each.article.removeprefix("L32-3 "),
        )
        before = each
    return table


def summary_table(tally: Tally, order: Iterable[str]) -> Table:
    """How often each processing got which answer for which reason."""
    table = _table("processing", "answer", "reason", "L32-3", "times")
    for processing in order:
        mine = Counter({key: count for key, count in tally.items() if key[0] == processing})
        shown = processing
        for (_, permitted, reason, article), count in mine.most_common():
            table.add_row(Text(shown), _answer(permitted), reason, article.removeprefix("L32-3 "), f"{count:,}")
            shown = ""
    return table


def timing_line(timing: Timing) -> str:
    """Counts and times, as measured here."""
    seconds = sum(timing.batches)
    middle = statistics.median(timing.batches) * 1_000
    return (
        f"{timing.decisions:,} decisions in {len(timing.batches):,} batches: {seconds:.2f} s, "
        f"{timing.decisions / seconds:,.0f} decisions a second; "
        f"a batch took {middle:.1f} ms (median), at most {max(timing.batches) * 1_000:.1f} ms."
    )


def console() -> Console:
    """Standard output; no wider than 100 columns, and 80 when it is no terminal."""
    made = Console(highlight=False, soft_wrap=False)
    made.width = min(made.width, _WIDEST)
    return made
