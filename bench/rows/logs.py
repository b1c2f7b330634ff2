"""What the decision log costs: off, buffered, and durable (a permit under IV waits for its row to be committed)."""

from dataclasses import asdict

from bench.figures import Spread, ratios
from bench.results import Row
from bench.rows.warm import single_target
from bench.world import World
from bench.wrk import interleaved

_CONNECTIONS = (16, 64)


def measure(world: World) -> list[Row]:
    """Decisions a second and their p99 under each way of logging, with few connections and with many."""
    servers = {
        "off": world.sceau(),
        "buffered": world.sceau("logged", SCEAU_DECISION_LOG="buffered"),
        "durable": world.sceau("durable", SCEAU_DECISION_LOG="durable"),
    }
    rows: list[Row] = []
    for connections in _CONNECTIONS:
        targets = []
        for name, server in servers.items():
            target = single_target(world, server)
            target.name, target.connections = name, connections
            targets.append(target)
        found = interleaved(targets, world.plan.rounds, world.plan.seconds)
        off = [burst.rate for burst in found["off"]]
        for name, bursts in found.items():
            rate, tail = Spread.of([burst.rate for burst in bursts]), Spread.of([burst.p99 for burst in bursts])
            share = Spread.of(ratios([burst.rate for burst in bursts], off))
            rows.append(
                Row(
                    f"decision log {name}, {connections} connections",
                    f"{rate.middle:,.0f}/s ({rate.least:,.0f}–{rate.greatest:,.0f})",
                    detail=f"{share.middle:.2f} × of none; p99 {tail.middle:.1f} ms; every answer a permit under IV",
                    measured={"bursts": [asdict(burst) for burst in bursts]},
                )
            )
    world.stop("durable")
    return rows
