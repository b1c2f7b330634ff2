#!/usr/bin/env python3
"""What asking costs: microseconds for each question, one after the other, against a bare POST of it.

measure.py URL KEY PROCESSING EXEMPT [QUESTIONS]: a processing of the register under consent, and an exempt one.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2

from sceau_client import AsyncClient, Client, HandleMaker, Question

RUNS = 5
letter = HandleMaker(bytes(32)).correspondence("measure")


def each(run: Callable[[], object], questions: int) -> float:
    """The median over some runs of the mean time of a question, in microseconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        for _ in range(questions):
            run()
        times.append((time.perf_counter() - began) / questions * 1e6)
    return statistics.median(times)


async def each_awaited(run: Callable[[], Coroutine[Any, Any, object]], questions: int) -> float:
    """The same, of what is awaited."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        for _ in range(questions):
            await run()
        times.append((time.perf_counter() - began) / questions * 1e6)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    url, key, processing, exempt, *more = sys.argv[1:]
    questions = int(more[0]) if more else 2_000
    asked, free = Question("measure", processing, letter), Question("measure", exempt, letter)
    many = [Question(f"measure-{n}", processing, letter) for n in range(50)]
    body = {"subject": {"type": "user", "id": "measure"}, "action": {"name": processing}}
    body["resource"] = {"type": "correspondence", "id": letter.handle(asked.subject)}
    with httpx2.Client(headers={"Authorization": f"Bearer {key}"}) as http:
        address = f"{url}/access/v1/evaluation"
        print(f"bare httpx2.Client.post        {each(lambda: http.post(address, json=body), questions):8.1f}")
    with Client(url, key) as sceau:
        print(f"Client.evaluate                {each(lambda: sceau.evaluate(asked), questions):8.1f}")
        print(f"Client.evaluate_many, 50, each {each(lambda: sceau.evaluate_many(many), questions // 50) / 50:8.1f}")
        print(f"Client.evaluate, exempt        {each(lambda: sceau.evaluate(free), questions):8.1f}")

    async def awaited() -> None:
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
            bare = await each_awaited(lambda: http.post(address, json=body), questions)
            print(f"bare httpx2.AsyncClient.post   {bare:8.1f}")
        async with AsyncClient(url, key) as sceau:
            print(f"AsyncClient.evaluate           {await each_awaited(lambda: sceau.evaluate(asked), questions):8.1f}")

    asyncio.run(awaited())


if __name__ == "__main__":
    main()
