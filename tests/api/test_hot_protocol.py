"""The short way of a request whose head is known: the same answers as by the ordinary way, and nothing else taken."""

import asyncio

import pytest

from app.api.hot_protocol import HotProtocol
from tests.support.hot_wire import BODY, Client, request, run


def test_the_second_request_with_a_head_takes_the_short_way():
    """A head is learnt once; later ones, on other connections too, are answered without the application."""

    async def story(hot, client, port):
        assert (await client.ask(request()))["body"] == BODY.decode()
        assert await client.ask(request(b'{"n":2}')) == {"short": True}
        other = await Client.connect(port)
        assert await other.ask(request(b'{"n":3}')) == {"short": True}
        other.writer.close()
        assert [body for _, body in hot.taken] == [b'{"n":2}', b'{"n":3}']

    run(story)


def test_a_body_that_comes_after_its_head_is_waited_for():
    """Head and body in two pieces are one request, on the short way as well."""

    async def story(hot, client, _):
        await client.ask(request())
        head, body = request().split(b"\r\n\r\n")
        assert await client.ask(head + b"\r\n\r\n", body, pause=0.05) == {"short": True}
        assert [body for _, body in hot.taken] == [BODY]

    run(story)


def test_a_body_that_does_not_come_goes_the_ordinary_way():
    """After half a second the parser gets the head, with what limits slow clients; nothing is lost."""

    async def story(hot, client, _):
        await client.ask(request())
        head, body = request().split(b"\r\n\r\n")
        assert (await client.ask(head + b"\r\n\r\n", body, pause=0.8))["body"] == BODY.decode()
        assert hot.taken == []
        assert await client.ask(request()) == {"short": True}

    run(story)


@pytest.mark.parametrize(
    "pieces",
    [
        [request()[:-3], request()[-3:]],
        [request()[:20], request()[20:]],
        [request()[:-3], b"", request()[-3:]],
    ],
    ids=["body in two", "head in two", "with a pause"],
)
def test_a_request_in_other_pieces_goes_the_ordinary_way(pieces):
    """A known head with half a body, or half a head, is left to the parser and answered as ever."""

    async def story(hot, client, _):
        await client.ask(request())
        assert (await client.ask(*pieces, pause=0.05))["body"] == BODY.decode()
        assert await client.ask(request()) == {"short": True}

    run(story)


def test_requests_sent_at_once_are_all_answered_in_order():
    """Pipelined requests are answered one after the other, whichever way each takes."""

    async def story(hot, client, _):
        await client.ask(request())
        client.writer.write(request(b'{"n":1}') + request(b'{"n":2}') + request(b'{"n":3}', path="/other"))
        answers = [(await client.answer())[1] for _ in range(3)]
        assert [each["body"] for each in answers] == ['{"n":1}', '{"n":2}', '{"n":3}']
        assert await client.ask(request()) == {"short": True}

    run(story)


def test_while_an_answer_is_awaited_the_next_request_waits_behind_it():
    """A known head that comes before the answer to the one before it does not overtake it."""

    async def story(hot, client, _):
        await client.ask(request())
        client.writer.write(request(b'{"n":1}', "X-Other: 1"))
        client.writer.write(request(b'{"n":2}'))
        first, second = (await client.answer())[1], (await client.answer())[1]
        assert first["body"] == '{"n":1}'
        assert second in ({"short": True}, {"path": "/access/v1/evaluation", "body": '{"n":2}'})

    run(story)


@pytest.mark.parametrize("trouble", ["fails", "passes"])
def test_what_the_short_way_cannot_answer_takes_the_ordinary_one(trouble):
    """An error on the short way, or a question that memory cannot answer, is answered by the application."""

    async def story(hot, client, _):
        await client.ask(request())
        setattr(hot, trouble, True)
        assert (await client.ask(request()))["body"] == BODY.decode()
        setattr(hot, trouble, False)
        assert await client.ask(request()) == {"short": True}

    run(story)


@pytest.mark.parametrize("end", [None, "fails", "passes"])
def test_what_is_missed_is_read_and_the_next_request_waits_behind_it(end):
    """While memory is filled for one request, the next on its connection waits; both are answered, in order."""

    async def story(hot, client, _):
        await client.ask(request())
        hot.misses = True
        client.writer.write(request(b'{"n":1}'))
        await asyncio.wait_for(hot.reading.wait(), 10)
        hot.misses = False
        client.writer.write(request(b'{"n":2}'))
        await asyncio.sleep(0)
        if end is not None:
            setattr(hot, end, True)
        hot.read.set()
        first = (await client.answer())[1]
        assert first == ({"short": True} if end is None else {"path": "/access/v1/evaluation", "body": '{"n":1}'})
        second = (await client.answer())[1]
        assert second in ({"short": True}, {"path": "/access/v1/evaluation", "body": '{"n":2}'})
        assert (b'{"n":1}' in [body for _, body in hot.taken]) == (end is None)

    run(story)


def test_others_are_answered_while_one_waits_for_what_was_missed():
    """A connection that waits for a read holds up no other."""

    async def story(hot, client, port):
        await client.ask(request())
        hot.misses = True
        client.writer.write(request(b'{"n":1}'))
        await asyncio.wait_for(hot.reading.wait(), 10)
        hot.misses = False
        other = await Client.connect(port)
        assert await other.ask(request(b'{"n":2}')) == {"short": True}
        other.writer.close()
        hot.read.set()
        assert (await client.answer())[1] == {"short": True}

    run(story)


def test_a_server_that_stops_first_answers_what_was_missed():
    """A stop while something is read for a request answers it and then closes the connection."""

    async def story(hot, client, _):
        await client.ask(request())
        hot.misses = True
        client.writer.write(request(b'{"n":1}'))
        await asyncio.wait_for(hot.reading.wait(), 10)
        hot.server.should_exit = True
        (connection,) = [each for each in hot.server.server_state.connections if each._under_way is not None]
        for _ in range(1_000):
            if connection._ends:
                break
            await asyncio.sleep(0.01)
        assert connection._ends
        hot.read.set()
        assert (await client.answer())[1] == {"short": True}
        assert await asyncio.wait_for(client.reader.read(), 10) == b""

    run(story)


@pytest.mark.parametrize("more", [b"", request(b'{"n":2}'), request(b'{"n":2}', "X-Other: 1")])
def test_a_client_that_has_closed_its_half_gets_what_was_missed(more):
    """What is being read for it is answered, and what it sent behind that, then the connection ends."""

    async def story(hot, client, _):
        await client.ask(request())
        hot.misses = True
        client.writer.write(request(b'{"n":1}'))
        await asyncio.wait_for(hot.reading.wait(), 10)
        hot.misses = False
        client.writer.write(more)
        client.writer.write_eof()
        (connection,) = hot.server.server_state.connections
        for _ in range(1_000):
            if connection._ends:
                break
            await asyncio.sleep(0.01)
        assert connection._ends
        hot.read.set()
        for _ in range(2 if more else 1):
            await client.answer()
        assert await asyncio.wait_for(client.reader.read(), 10) == b""

    run(story)


def test_a_client_that_goes_while_something_is_read_harms_nobody():
    """What was read for a client that has gone is answered to nobody, and the server goes on."""

    async def story(hot, client, port):
        await client.ask(request())
        hot.misses = True
        gone = await Client.connect(port)
        gone.writer.write(request(b'{"n":1}'))
        await asyncio.wait_for(hot.reading.wait(), 10)
        hot.misses = False
        gone.writer.transport.abort()
        await asyncio.sleep(0.05)
        hot.read.set()
        assert await client.ask(request(b'{"n":2}')) == {"short": True}

    run(story)


def test_a_head_that_differs_in_one_byte_is_another_head():
    """Another key, another path or another length is not answered as the known one."""

    async def story(hot, client, _):
        await client.ask(request(BODY, "Authorization: Bearer one"))
        for other in (
            request(BODY, "Authorization: Bearer two"),
            request(BODY, "authorization: Bearer one"),
            request(BODY + b" ", "Authorization: Bearer one"),
            request(BODY, "Authorization: Bearer one", path="/access/v1/evaluations"),
        ):
            assert "body" in await client.ask(other)
        assert hot.taken == []

    run(story)


@pytest.mark.parametrize("name", ["X-Request-ID", "x-request-id", "traceparent"])
def test_an_id_that_is_new_in_each_head_is_cut_out_of_it(name):
    """The next request takes the short way, with its own id; and no head is remembered beside the first."""

    async def story(hot, client, _):
        assert "path" in await client.ask(request(BODY, f"{name}: 1"))
        for more in ([f"{name}: 2"], [f"{name}: 3"], []):
            assert await client.ask(request(BODY, *more)) == {"short": True}
        assert hot.given == ([b"", b"", b""] if name == "traceparent" else [b"2", b"3", b""])
        assert len(HotProtocol.known) == 1

    run(story)


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Request-ID: 1", "X-Request-ID: 2"],
        ["X-Request-ID:  1"],
        ["X-Request-ID: 1 2"],
        ["X-Request-ID: " + "1" * 129],
    ],
)
def test_an_id_that_is_not_as_clients_write_it_takes_the_ordinary_way(lines):
    """Each time, though the rest of the head is known; and it is never learnt."""

    async def story(hot, client, _):
        await client.ask(request(BODY))
        for _ in range(2):
            assert "path" in await client.ask(request(BODY, *lines))
        assert await client.ask(request(BODY, "X-Request-ID: 9")) == {"short": True}
        assert hot.given == [b"9"]
        assert len(HotProtocol.known) == 1

    run(story)


def test_a_line_end_without_a_return_keeps_a_head_from_being_learnt():
    """Where a parser and a search for the empty line could see different heads, nothing is learnt."""

    async def story(hot, client, _):
        odd = request().replace(b"Host: x\r\n", b"Host: x\r\nX-Odd: a\r\n b\r\n").replace(b"a\r\n b", b"a\n b")
        client.writer.write(odd)
        assert (await asyncio.wait_for(client.reader.readline(), 10)).startswith(b"HTTP/1.1 400")
        assert len(HotProtocol.known) == 0

    run(story)


def test_a_quiet_connection_is_closed_and_a_busy_one_is_not():
    """One timer stands for many answers: it closes a connection only after a second without any."""

    async def story(hot, client, _):
        await client.ask(request())
        for _ in range(8):
            assert await client.ask(request()) == {"short": True}
            await asyncio.sleep(0.3)
        assert await asyncio.wait_for(client.reader.read(), 10) == b""

    run(story)
