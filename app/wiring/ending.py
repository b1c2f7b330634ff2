"""Ends what runs beside the application, so that nothing keeps a process from stopping."""

import asyncio
from collections.abc import Collection
from typing import Any, Final

import structlog

_EACH_SECONDS: Final = 0.5
_TIMES: Final = 10
log = structlog.get_logger("sceau")


async def end_all(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks again and again until they have ended, for some seconds at most.

    Once is not always enough: a library may take a cancellation for its own, after which a loop goes on.
    """
    waiting = {task for task in tasks if not task.done()}
    for _ in range(_TIMES):
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_EACH_SECONDS)
    if waiting:
        log.warning("something does not end", tasks=len(waiting))
