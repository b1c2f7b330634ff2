"""The client that waits: for threads, and for programs without an event loop.

It runs the same engine on an event loop in a separate thread. So a deadline bounds everything, look-ups of names
included, the register is fetched in the background, and there is only one way over the network.
"""

import asyncio
import concurrent.futures
import logging
import os
import threading
import time
import weakref
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from sceau_client.asking import Asking
from sceau_client.decisions import Decisions, unknown
from sceau_client.edge import Edge
from sceau_client.engine import Engine
from sceau_client.plan import Plan
from sceau_client.questions import Question
from sceau_client.refreshing import KeptRegister
from sceau_client.service import DEADLINE, NONE_EXEMPT, REFRESH, USUAL, Connections, Service, service
from sceau_client.words import Cause, ExemptPurpose

_GRACE_SECONDS: Final = 0.25
"""How much longer than its deadline a call may wait for a thread that is late to say that it is over."""
_CLOSE_SECONDS: Final = 5.0
log = logging.getLogger("sceau_client")


class Client(Asking):
    """Asks Sceau over kept connections, from any thread. `with` it, or `close` it at the end."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        deadline: float = DEADLINE,
        exempt: Mapping[str, ExemptPurpose] = NONE_EXEMPT,
        refresh: float | None = REFRESH,
        connections: Connections = USUAL,
        edge: Edge | None = None,
    ) -> None:
        """Prepare to ask the service at `url` with an API key; nothing is sent yet.

        - The key has the scope `decisions:evaluate`, and `register:read` unless `refresh` is None.
        - `deadline`: seconds that a call may take, all in all; a call may say its own.
        - `exempt`: processings that are answered as exempt until a register has been fetched, each with its purpose.
        - `refresh`: seconds between two fetches of the register; None fetches none.
        - `edge`: answers what it holds, and asks by its socket; HTTP is used where it cannot (`sceau_client.edge`).

        Raises:
            ValueError: the address, the key or a number cannot be what is meant.

        """
        self._service = service(url, key, deadline, refresh, connections)
        self._kept = KeptRegister(exempt)
        self._edge = edge
        self._recall = edge.recall if edge is not None else lambda _: None
        self._lock = threading.Lock()
        self._thread: _EngineThread | None = None
        self._closed = self._failing = False

    def __enter__(self) -> Self:
        """Fetch the register, unless that takes longer than a question may."""
        thread = self._started()
        if thread is not None:
            thread.run(thread.engine.start(), self._service.deadline)
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Stop fetching the register, and close the connections.

        It waits for its thread, but no longer than five seconds: a look-up of a name that hangs cannot be cut short. It
        is left behind, and the interpreter waits for it at its end, as long as the system's resolver takes.
        """
        self._closed = True
        if self._thread is not None:
            self._thread.stop()

    def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:
        asked_at = time.monotonic()
        thread = self._started()
        if thread is None:
            plan = Plan(questions, self._kept.current, recall=self._recall)
            return plan.decisions(otherwise=unknown(Cause.UNAVAILABLE))
        plan = Plan(questions, self._kept.current, thread.engine.held, self._recall)
        if plan.open:
            seconds = deadline or self._service.deadline
            thread.run(thread.engine.carry_out(plan, seconds, asked_at), seconds)
        return plan.decisions()

    def _started(self) -> "_EngineThread | None":
        """The engine's thread in this process, since a fork takes no thread along; None if none can be started now."""
        thread = self._thread
        if thread is not None and thread.is_usable() and not self._closed:
            return thread
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._thread is None or not self._thread.is_usable():
                self._thread = self._new_thread()
            return self._thread

    def _new_thread(self) -> "_EngineThread | None":
        """Start a thread; None if the system has no resources for it: then the next question tries again."""
        try:
            thread = _EngineThread(self._service, self._kept, self._edge)
        except (OSError, RuntimeError) as error:
            if not self._failing:
                log.warning("Sceau cannot be asked: %s at the start of the client's thread", type(error).__name__)
            self._failing = True
            return None
        self._failing = False
        weakref.finalize(self, thread.stop)
        return thread


class _EngineThread:
    """An engine on an event loop in a thread."""

    def __init__(self, service: Service, kept: KeptRegister, edge: Edge | None) -> None:
        """Start the thread, and return once it runs.

        Raises:
            OSError, RuntimeError: the system has no file or thread left. Nothing stays behind then.

        """
        self.process = os.getpid()
        self.engine = Engine(service, kept, edge)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._live, name="sceau-client", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise RuntimeError("the event loop did not start") from self._failure

    def is_usable(self) -> bool:
        """Whether the thread runs in this process."""
        return self.process == os.getpid() and self._thread.is_alive()

    def run(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        """Run a coroutine of the engine and wait for it, hardly longer than so many seconds."""
        noted = self._noted(work)
        try:
            future = asyncio.run_coroutine_threadsafe(noted, self._loop)
        except RuntimeError:  # it has ended meanwhile
            noted.close()
            work.close()
            return
        try:
            future.result(seconds + _GRACE_SECONDS)
        except (TimeoutError, concurrent.futures.CancelledError):
            pass  # what was not answered is unknown
        finally:
            future.cancel()
            if not self._thread.is_alive():
                noted.close()  # what never began Python would complain of, wherever it is next collected
                work.close()

    async def _noted(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work as a task that `_serve` knows, so that it ends in order."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        try:
            await task
        finally:
            self._under_way.discard(task)

    def stop(self) -> None:
        """End the thread, from any thread; the last of its connections may take a moment."""
        if self.process != os.getpid():
            return
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_SECONDS)

    def _live(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the start
            self._failure = error
        finally:
            self._ready.set()  # whatever happened: whoever waits for it holds a lock that others wait for

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.engine.keep_register()
        self._ready.set()
        await self._stopping.wait()
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)  # a loop that ends cancels all at once, what has not begun too
        await self.engine.close()
