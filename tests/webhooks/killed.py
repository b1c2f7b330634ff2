"""A worker process of its own that dispatches and delivers until it is killed: what tests of kill -9 run."""

import asyncio
import sys
from datetime import timedelta

from app.db.database import Database
from app.events.addresses import AddressPolicy
from app.events.sender import Sender
from app.operations.webhooks.deliver_webhooks import Courier, run_events
from app.settings import Settings
from app.wiring.parts import deployment_of


async def _run() -> None:
    settings = Settings.load()
    courier = Courier(
        Database(sys.argv[1]),
        deployment_of(settings),
        Sender(AddressPolicy.parse("127.0.0.0/8")),
        "https://sceau.example.fr",
        chance=lambda: 0.0,
        look_again=0.02,
    )
    await run_events(courier, lasting=timedelta(hours=1))


if __name__ == "__main__":
    asyncio.run(_run())
