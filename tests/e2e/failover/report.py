"""The table that a run of failovers ends with."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

_COUNTED: Final = ("users", "calls", "decisions", "permits", "writes", "exempt")
_WRONG: Final = ("not_linearizable", "lost", "permitted_on_nothing", "exempt_refused", "unexpected", "restarted")


def table(parts: Sequence[dict[str, Any]]) -> str:
    """Of all parts: for each kind of failover how many and how long; then what was checked and what was wrong."""
    failovers = [each for part in parts for each in part["failovers"]]
    head = (
        f"{'kind':<12}{'count':>6}  {'to promotion':>18}  {'IV after that':>18}  {'III: longest gap':>18}"
        f"  {'whole again':>14}"
    )
    lines = ["seconds: median, most", head]
    for kind in sorted({each["kind"] for each in failovers}):
        of_kind = [each for each in failovers if each["kind"] == kind]
        lines.append(
            f"{kind:<12}{len(of_kind):>6}  {_spread(each['to_promotion'] for each in of_kind):>18}"
            f"  {_spread(_each(of_kind, 'to_first_answer')):>18}  {_spread(_each(of_kind, 'exempt_gap')):>18}"
            f"  {_spread(each['to_whole'] for each in of_kind):>14}"
        )
    lines.append("")
    lines += [f"{name:<40}{sum(part[name] for part in parts):>10,}" for name in _COUNTED]
    lines += [f"{name.replace('_', ' '):<40}{sum(len(part[name]) for part in parts):>10,}" for name in _WRONG]
    problems = sorted({name for part in parts for name in part["problems"]})
    lines += [f"  {name:<38}{sum(part['problems'].get(name, 0) for part in parts):>10,}" for name in problems]
    return "\n".join([*lines, *(line for part in parts for line in part["wrong"][:5])])


def _each(failovers: Sequence[dict[str, Any]], name: str) -> list[float]:
    """What every service saw."""
    return [value for each in failovers for value in each[name] if value is not None]


def _spread(values: Iterable[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f}, {ordered[-1]:.1f}" if ordered else "–"
