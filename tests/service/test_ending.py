import asyncio

from app.wiring.stopping import end_all


async def _goes_on(times: int) -> None:
    """Takes that many cancellations for something else."""
    for _ in range(times):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    await asyncio.sleep(60)


async def _after_end_all(times: int) -> bool:
    task = asyncio.create_task(_goes_on(times))
    await asyncio.sleep(0)
    await end_all([task])
    ended = task.done()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    return ended


async def test_what_a_cancellation_did_not_end_is_cancelled_again(monkeypatch):
    """A task that lost two of them ends; one that takes every one for something else keeps nobody from stopping."""
    monkeypatch.setattr("app.wiring.stopping._EACH_SECONDS", 0.01)
    assert await _after_end_all(2) is True
    assert await _after_end_all(1_000) is False
