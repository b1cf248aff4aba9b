# SPDX-License-Identifier: GPL-3.0-or-later
"""TURN by the examples of its standards, and what coturn's own words are taken for."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _stun, _turn, _turnserver
from ansible_collections.campus.jitsi.plugins.modules import config_file
from ansible_collections.campus.jitsi.plugins.plugin_utils import _peers
from hypothesis import given
from hypothesis import strategies as st

#: RFC 5769, section 2.4: a request with long-term credentials, as it is on the wire.
NAME, REALM, PASSWORD = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9", "example.org", "TheMatrIX"
REQUEST = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e"
    "00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)


def test_a_long_term_credential_signs_as_rfc_5769_has_it():
    assert _turn.signed_with(REQUEST, _turn.long_term_key(NAME, REALM, PASSWORD))
    assert not _turn.signed_with(REQUEST, _turn.long_term_key(NAME, REALM, "another"))
    assert not _turn.signed_with(REQUEST[:-24], _turn.long_term_key(NAME, REALM, PASSWORD))


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_addresses_come_back(address, port, transaction):
    assert _turn.read_address(_turn.xor_address(str(address), port, transaction), transaction) == (str(address), port)


def test_credentials_for_a_time():
    """The password is what `printf 1433895918:506390 | openssl dgst -sha1 -hmac logen -binary | base64` says."""
    assert _turn.rest_credentials("logen", 1433895918, "506390") == ("1433895918:506390", "0eevpDOmHhVK7kBIKKVOj1Ni3Fk=")
    assert _turn.rest_credentials("logen", 1433895918)[0] == "1433895918"


class Server(threading.Thread):
    """A TURN server of a few lines, over TCP: it wants credentials, and then answers with what it is told to."""

    def __init__(self, answers, signed_by="secret"):
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.answers, self.signed_by = answers, signed_by
        self.start()

    def run(self):
        connection, _peer = self.listening.accept()
        with connection:
            for kind, body, signed in self.answers:
                head = b""
                while len(head) < 20:
                    part = connection.recv(20 - len(head))
                    if not part:
                        return
                    head += part
                connection.recv(struct.unpack_from("!H", head, 2)[0])
                key = _turn.long_term_key("user", "realm", self.signed_by) if signed else None
                message = _turn.request(kind, head[8:20], body(head[8:20]), key)
                # In two parts, as TCP may have it.
                connection.sendall(message[:7])
                connection.sendall(message[7:])
            # Whatever comes now, there is no more.
            connection.recv(4096)


def error(code, nonce=b"nonce"):
    body = _stun._attribute(_stun.ERROR_CODE, struct.pack("!HBB", 0, code // 100, code % 100) + b"why")
    return _turn.ALLOCATE + _turn.ERROR, lambda _t: body + _stun._attribute(_turn.REALM, b"realm") + _stun._attribute(_turn.NONCE, nonce), False


SUCCESS = (_turn.ALLOCATE + _turn.SUCCESS, lambda t: _stun._attribute(_turn.XOR_RELAYED_ADDRESS, _turn.xor_address("192.0.2.7", 50000, t)), True)


def test_an_allocation_with_a_challenge_and_a_stale_nonce():
    server = Server([error(401), error(438, b"newer"), SUCCESS])
    with _turn.Relay("turn.example.edu", server.port, "tcp", address="127.0.0.1") as relay:
        assert relay.allocate("user", "secret") == ("192.0.2.7", 50000)
        assert relay.nonce == b"newer"


@pytest.mark.parametrize(
    ("answers", "signed_by", "said", "code"),
    [
        ([error(401), error(401)], "secret", "STUN error 401 (why)", 401),
        ([error(486)], "secret", "STUN error 486", 486),
        ([error(401), error(438), error(438), error(438)], "secret", "again and again", 0),
        ([error(401), SUCCESS], "other", "signed its answer with another password", 0),
        ([error(401), (SUCCESS[0], lambda _t: b"", True)], "secret", "without an address", 0),
        ([], "secret", "closed the connection", 0),
    ],
)
def test_what_a_server_may_do_instead(answers, signed_by, said, code):
    server = Server(answers, signed_by)
    with _turn.Relay("turn.example.edu", server.port, "tcp", address="127.0.0.1") as relay:
        with pytest.raises(_turn.TurnError, match=said.replace("(", r"\(").replace(")", r"\)")) as caught:
            relay.allocate("user", "secret")
    assert caught.value.code == code


def test_a_server_that_is_silent_over_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with _turn.Relay("turn.example.edu", silent.getsockname()[1], "udp", address="127.0.0.1", timeout=0.2) as relay:
            with pytest.raises(_turn.TurnError, match="does not answer"):
                relay.allocate("user", "secret")


# --- what coturn says of a file ------------------------------------------------------------------------------------

#: From a trial of coturn 4.6.1.
GOOD = """0: : Black listing: 10.0.0.0-10.255.255.255
0: :
RFC 3489/5389/5766/5780/6062/6156 STUN/TURN Server
CONFIG: --no-tcp-relay: TCP relay endpoints are not allowed.
0: : SSL23: Certificate file found: /etc/coturn/certs/t.crt
0: : NO EXPLICIT LISTENER ADDRESS(ES) ARE CONFIGURED
0: : ===========Discovering listener addresses: =========
0: : ERROR: main: Cannot configure any meaningful IP listener address

Usage: turnserver [options]
 --no-cli\t\t\tERROR in the help is none.
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0: : ERROR: -X : Wrong address format: nonsense", "-X : Wrong address format: nonsense"),
        ("0: : ERROR: Unknown boolean value: perhaps. You can use on/off, yes/no, 1/0, true/false.", "Unknown boolean value: perhaps."),
        ("0: : WARNING: cannot find certificate file: /nowhere.crt (1)", "cannot find certificate file: /nowhere.crt (1)"),
        ("0: : Check config! The following line ends with semicolon: \"realm=x;\" ", "Check config!"),
        ("CONFIGURATION ALERT: you specified long-term user accounts, (-u option)", "you specified long-term user accounts"),
    ],
)
def test_what_coturn_has_against_a_file(line, said):
    assert _turnserver.complaints(GOOD) == [] and _turnserver.was_read(GOOD) and _turnserver.unknown_options(GOOD) == []
    (complaint,) = _turnserver.complaints(line + "\n" + GOOD)
    assert said in complaint


def test_options_that_coturn_does_not_know():
    output = "0: : Bad configuration format: min-prot\n" * 2 + GOOD
    assert _turnserver.unknown_options(output) == ["min-prot"] and _turnserver.complaints(output) == []
    assert not _turnserver.was_read("turnserver: cannot execute")


def test_secrets_of_a_turn_server_are_in_no_diff():
    text = "static-auth-secret=the present one\nstatic-auth-secret=the former one\nuser=a:b\npsql-userdb=\"host=x password=y\"\nrealm=x\n"
    assert config_file.redact(text, ["the present one"]) == (
        "static-auth-secret=********\nstatic-auth-secret=(another secret)\nuser=(another secret)\npsql-userdb=(another secret)\nrealm=x\n")


# --- peers ---------------------------------------------------------------------------------------------------------


def coturn_holds(text: str, address) -> bool:
    """Whether coturn 4.6.1 finds an address in a range (ioa_addr_in_range and addr_less_eq of src/client/ns_turn_ioaddr.c)."""
    first, _hyphen, last = text.partition("-")
    ends = ipaddress.ip_address(first), ipaddress.ip_address(last or first)

    def any_address(one) -> bool:
        return int(one) == 0

    def less_or_equal(one, other) -> bool:
        if one.version != other.version:
            return one.version < other.version
        if one.version == 4:
            return one <= other
        return all(a <= b for a, b in zip(one.packed, other.packed))

    return (any_address(ends[0]) or less_or_equal(ends[0], address)) and (any_address(ends[1]) or less_or_equal(address, ends[1]))


SIX = st.integers(1, 2**128 - 1).map(ipaddress.IPv6Address)
FOUR = st.integers(1, 2**32 - 1).map(ipaddress.IPv4Address)


@given(st.tuples(SIX, SIX).map(sorted) | st.tuples(FOUR, FOUR).map(sorted), SIX | FOUR)
def test_a_range_is_the_same_to_coturn_although_it_compares_byte_by_byte(ends, address):
    parts = _peers.peer_ranges([f"{ends[0]}-{ends[1]}"])
    inside = address.version == ends[0].version and ends[0] <= address <= ends[1]
    assert any(coturn_holds(part, address) for part in parts) == inside
    assert all(any(coturn_holds(part, end) for part in parts) for end in ends)


def test_ranges_without_repetition():
    assert _peers.peer_ranges(["192.0.2.1", "192.0.2.1/32", "192.0.2.0/31"]) == ["192.0.2.1", "192.0.2.0-192.0.2.1"]
