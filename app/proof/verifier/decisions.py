"""Checks the decisions of a bundle: those of each hour must be exactly the ones that the log states.

A statement (`decision_hour`) names segments, each with the SHA-256 of its lines, their number, and how often each
answer was given. The lines of a segment stand in `data/decisions/ID.ndjson`.
"""

import hashlib
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.proof.verifier.bodies import DROPPED, RESTORED, Findings
from app.proof.verifier.files import objects

_PREFIX = "data/decisions/"
_UNKNOWN = "unknown_processing"


def check_decisions(
    bag: zipfile.ZipFile,
    hours: list[tuple[str, dict[str, Any]]],
    acts: list[dict[str, Any]],
    report: Findings,
    *,
    chosen: bool,
) -> None:
    """Compare the decisions of a bundle with the log's statements. `hours`: these, each with the name of its entry.

    `acts`: what `excuses` takes.
    `chosen`: whether the bundle is about one person or one processing, and so has no decisions.
    """
    there = {name for name in bag.namelist() if name.startswith(_PREFIX)}
    stated = _stated(hours, report)
    present = gone = dropped = 0
    since: str | None = None
    is_excused = excuses(acts)
    for identifier, segment in stated.items():
        name = f"{_PREFIX}{identifier}.ndjson"
        if name in there:
            there -= {name, name.replace(".ndjson", ".people.ndjson")}
            present += segment["rows"]
            _check_segment(bag, name, segment, report)
        elif not (chosen or is_excused(segment["hour"])):
            report.wrong.append(f"{segment['rows']} decisions of {segment['hour']} that the log states are gone")
        else:
            gone += segment["rows"]
            since = since or segment["hour"]
    report.wrong += [f"{name}: no statement of the log names these decisions" for name in sorted(there)]
    if not hours:
        report.checked.append("no hour of decisions is stated here: it shows no decision")
    else:
        until = hours[-1][1]["until"]
        report.checked.append(f"{present} decisions against the statements of their hours, which reach to {until}")
    if gone:
        report.missing.append(f"{gone} decisions that the log states, from {since} on, are not part of this bundle")
    for _, hour in hours:
        dropped += int(hour["dropped"])
    if dropped:
        report.missing.append(f"{dropped} decisions that were not logged, by the operator's word")


def excuses(acts: Iterable[Mapping[str, Any]]) -> Callable[[str], bool]:
    """Return what tells whether the decisions of an hour may be gone.

    `acts`: the acts by which days were dropped, or a restore left earlier decisions behind, and what was stated of the
    owner's limits, in order. A day that is not older than the limit cannot have been dropped: the smaller of the last
    two that were stated, because a limit that was just changed is stated by its act, and then as it stands.
    """
    days, restored, limits = set[str](), list[datetime](), deque[int](maxlen=2)
    for act in acts:
        detail = act.get("facts") or act.get("detail") or {}
        limits += [detail["log_floor_days"]] if "log_floor_days" in detail else []
        if act.get("act") == RESTORED:
            restored.append(datetime.fromisoformat(act["at"]))
        elif act.get("act") == DROPPED:
            kept = datetime.fromisoformat(act["at"]).astimezone(UTC) - timedelta(days=min(limits, default=1))
            days |= {detail["day"]} if str(detail.get("day")) < kept.date().isoformat() else set()
    return lambda hour: hour[:10] in days or any(datetime.fromisoformat(hour) < at for at in restored)


def _stated(hours: list[tuple[str, dict[str, Any]]], report: Findings) -> dict[str, dict[str, Any]]:
    """The stated segments by id. Report a statement that leaves a gap, overlaps, or names a segment again."""
    stated: dict[str, dict[str, Any]] = {}
    until: str | None = None
    for name, hour in hours:
        if until is not None and hour["since"] != until:
            report.wrong.append(f"{name}: nothing is stated from {until} to {hour['since']}, or twice")
        until = hour["until"]
        for segment in (*hour["segments"], *hour["late"]):
            if segment["id"] in stated:
                report.wrong.append(f"{name}: it names decisions that another statement names")
            stated[segment["id"]] = segment
    return stated


def _check_segment(bag: zipfile.ZipFile, name: str, segment: dict[str, Any], report: Findings) -> None:
    digest, counts, rows = hashlib.sha256(), Counter[tuple[str, bool, str]](), 0
    with bag.open(name) as lines:
        for line, row in objects(lines):
            digest.update(line)
            rows += 1
            of_processing = "" if row["reason"] == _UNKNOWN else row["processing"]
            counts[of_processing, row["decision"], row["reason"]] += 1
    stated = Counter(
        {(processing, permitted, reason): number for processing, permitted, reason, number in segment["counts"]}
    )
    if digest.hexdigest() != segment["open_sha256"] or counts != stated or rows != segment["rows"]:
        report.wrong.append(
            f"the decisions of {segment['hour']} ({name}) are not those that were stated: {rows} lines, and "
            f"{segment['rows']} were logged"
        )
