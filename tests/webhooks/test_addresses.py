import asyncio
import ssl
from ipaddress import ip_address

import pytest

from app.events.addresses import AddressPolicy, ForbiddenUrlError, check_url
from app.events.sender import Sender
from tests.support.certificates import self_signed
from tests.webhooks.courier import LOOPBACK
from tests.webhooks.receivers import answering, listening

INTERNAL = (
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
    "172.31.255.1", "192.0.0.1", "192.0.2.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1", "fd12::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
)  # fmt: skip
PUBLIC = (
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
)


@pytest.mark.parametrize("address", INTERNAL)
def test_no_internal_address_may_be_reached(address):
    """Loopback, link-local, private, shared, multicast and reserved addresses are refused, however they are written."""
    assert not AddressPolicy().permits(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address):
    """The control: public addresses are permitted, and so is an IPv6 form of one."""
    assert AddressPolicy().permits(ip_address(address))


def test_a_network_that_is_allowed_may_be_reached_and_no_other():
    """An allowed network opens itself only, also for an IPv4 address in an IPv6 one."""
    policy = AddressPolicy.parse("10.1.0.0/16, fd00:1::/64")
    permitted = {each for each in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5") if policy.permits(ip_address(each))}
    assert permitted == {"10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5"}
    assert not any(policy.permits(ip_address(each)) for each in ("10.2.0.1", "127.0.0.1", "fd00:2::1", "::1"))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.fr/", "https://", "https:///x", "https://user:word@example.fr/", "https://example.fr/#part",
        "https://example.fr:0/", "https://example.fr:99999/", "https://exa mple.fr/", "https://example.fr\\@127.0.0.1/",
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/",
        "http://example.fr/", "http://8.8.8.8/", "https://example.fr/\u00e9", "https://example.fr/" + "x" * 2_048,
    ],
)  # fmt: skip
def test_urls_that_can_never_be_sent_to_are_refused(url):
    """Other schemes, credentials, fragments, internal addresses and plain HTTP are refused when they are registered."""
    with pytest.raises(ForbiddenUrlError):
        check_url(url, AddressPolicy())


def test_urls_that_can_be_sent_to_are_accepted():
    """The control: https to a name or a public address, and http into an allowed network."""
    check_url("https://example.fr:8443/hooks?a=b", AddressPolicy())
    check_url("https://8.8.8.8/", AddressPolicy())
    check_url("http://127.0.0.1:9000/", LOOPBACK)


def _post(url, policy, *answers):
    """What becomes of a delivery when the resolver gives these answers in turn, and what the receiver got."""
    resolved = []

    async def resolver(host, _):
        resolved.append(host)
        return answers[min(len(resolved), len(answers)) - 1]

    async def run():
        async with listening(answering(204)) as receiver:
            sender = Sender(policy, resolver=resolver)
            try:
                outcomes = [
                    (await sender.post(url.format(port=receiver.port), {}, b"{}")).word
                    for _ in range(max(1, len(answers)))
                ]
            finally:
                await sender.close()
            return outcomes, receiver, resolved

    return asyncio.run(run())


def test_a_name_that_resolves_to_loopback_is_not_connected_to():
    """A name is judged by its address: nothing reaches a receiver on loopback through one."""
    outcomes, receiver, _ = _post("https://hook.example:{port}/", AddressPolicy(), ["127.0.0.1"])
    assert outcomes == ["forbidden_address"]
    assert receiver.came == []


async def test_this_hosts_own_resolver_is_checked_too():
    """`localhost`, asked of the real resolver, is refused."""
    sender = Sender(AddressPolicy())
    try:
        assert (await sender.post("https://localhost:9/", {}, b"{}")).word == "forbidden_address"
    finally:
        await sender.close()


def test_a_mixed_answer_is_refused_whole():
    """One internal address among public ones refuses them all."""
    outcomes, receiver, _ = _post("https://hook.example:{port}/", AddressPolicy(), ["8.8.8.8", "127.0.0.1"])
    assert outcomes == ["forbidden_address"]
    assert receiver.came == []


def test_the_address_that_was_checked_is_the_one_connected_to():
    """One look-up for each delivery: a name that changes to an internal address is not followed there, then refused."""
    policy = AddressPolicy.parse("127.0.0.1/32")
    url = "http://hook.example:{port}/a?b=c"
    outcomes, receiver, resolved = _post(url, policy, ["127.0.0.1"], ["127.0.0.2"])
    assert outcomes == ["delivered", "forbidden_address"]
    assert resolved == ["hook.example", "hook.example"]
    assert [each.line for each in receiver.came] == ["POST /a?b=c HTTP/1.1"]
    assert receiver.came[0].headers["host"] == f"hook.example:{receiver.port}"


def test_plain_http_goes_into_allowed_networks_only():
    """A public address is not sent plain HTTP, even though some network is allowed."""
    outcomes, _, _ = _post("http://hook.example:{port}/", LOOPBACK, ["8.8.8.8"])
    assert outcomes == ["plain_http"]


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """A proxy that the environment names gets nothing: the receiver is reached directly."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    outcomes, receiver, _ = _post("http://hook.example:{port}/", LOOPBACK, ["127.0.0.1"])
    assert outcomes == ["delivered"]
    assert len(receiver.came) == 1


@pytest.mark.parametrize(("host", "word"), [("hook.example", "delivered"), ("other.example", "tls")])
async def test_the_certificate_is_checked_against_the_name(tmp_path, host, word):
    """SNI and the certificate's check keep the name although an address is connected to; another name is refused."""
    certificate = tmp_path / "certificate"
    certificate.write_bytes(b"".join(self_signed("hook.example")))
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    names = []
    serving.sni_callback = lambda _, name, __: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))

    async def resolver(_, __):
        return ["127.0.0.1"]

    async with listening(answering(204), tls=serving) as receiver:
        sender = Sender(LOOPBACK, resolver=resolver, tls=trusting)
        try:
            assert (await sender.post(f"https://{host}:{receiver.port}/", {}, b"{}")).word == word
        finally:
            await sender.close()
    assert names == [host]
