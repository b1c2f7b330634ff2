"""Mechanisms of the protocol (docs/freshness.md), switched off one at a time: a stale permit must then be found.

A mutant changes classes of this process through `patch(object, name, value)`, as pytest's `monkeypatch.setattr` does.
Some let a scenario act in the middle of a step: they wait at PAUSE, which stands open unless a scenario closes it.
"""

from tests.freshness.mutants import feed, memory, writes

IN_A_WORKER = {
    "no invalidation": feed.no_invalidation,
    "no confirmation": writes.no_confirmation,
    "own cache not dropped": memory.own_not_dropped,
    "feed in one frozen transaction": feed.frozen_transaction,
    "flight not marked stale": memory.flight_not_marked,
    "beat publishing the snapshot that it is only now reading": feed.publishing_ahead,
    "one id for two processes": feed.one_id_for_two_processes,
}
"""Those that callers of whole workers find by chance, soon enough."""
