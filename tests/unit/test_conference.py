# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocols of the conference check, by the examples of their standards; the check itself is proved in tests/verify."""

from __future__ import annotations

import socket
import ssl
import threading
import xml.etree.ElementTree as ET

import pytest
from ansible_collections.campus.jitsi.plugins.module_utils import _conference, _https, _stun, _xmpp
from hypothesis import given
from hypothesis import strategies as st

#: RFC 5769, section 2.1 (with the correction of its errata) and 2.2: password and transaction of all examples.
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"
TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004c07d4c96"
)


def test_an_answer_is_verified_as_rfc_5769_has_it():
    assert _stun.verify(RESPONSE, TRANSACTION, PASSWORD) is None
    assert _stun.mapped_address(RESPONSE) == "192.0.2.1:32853"


@pytest.mark.parametrize(
    ("message", "transaction", "password", "said"),
    [
        (RESPONSE, TRANSACTION, "another", "with another password"),
        (RESPONSE, bytes(12), PASSWORD, "not STUN"),
        (b"HTTP/1.1 200 OK\r\n\r\n    ", TRANSACTION, PASSWORD, "not STUN"),
        (b"", TRANSACTION, PASSWORD, "not STUN"),
        (RESPONSE[:32], TRANSACTION, PASSWORD, "without integrity"),
        (bytes.fromhex("011100082112a442") + TRANSACTION + bytes.fromhex("0009000400000401"), TRANSACTION, PASSWORD, "STUN error 401"),
    ],
)
def test_a_wrong_answer_is_named(message, transaction, password, said):
    assert said in _stun.verify(message, transaction, password)


def test_a_request_carries_what_an_ice_agent_checks():
    request = _stun.binding_request("local", "remote", PASSWORD, TRANSACTION, 7)
    found = _stun.attributes(request)
    assert found[_stun.USERNAME] == b"remote:local"
    # A request signed as it should be is what an answer would have to be, but for its type.
    answer = b"\x01\x01" + request[2:]
    assert "another password" in _stun.verify(answer, TRANSACTION, PASSWORD)
    assert len(request) % 4 == 0 and found[_stun.FINGERPRINT]


def test_a_candidate_that_answers_and_one_that_does_not():
    def serve(channel):
        data, peer = channel.recvfrom(2048)
        channel.sendto(RESPONSE.replace(TRANSACTION, data[8:20]), peer)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, args=(channel,))
        thread.start()
        wrong, seen = _stun.ask("127.0.0.1", channel.getsockname()[1], "l", "r", PASSWORD, 2)
        thread.join()
        # The example is signed for another transaction.
        assert "another password" in wrong and seen
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        assert _stun.ask("127.0.0.1", silent.getsockname()[1], "l", "r", PASSWORD, 0.3) == ("does not answer", "")


TRANSPORT = """<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="u" pwd="p">
<candidate protocol="udp" ip="192.0.2.1" port="10000" type="host"/><candidate protocol="udp" ip="192.0.2.1" port="10000" type="host"/>
<candidate protocol="tcp" ip="192.0.2.2" port="443"/><candidate protocol="UDP" ip="2001:db8::1" port="10000" type="srflx"/></transport>"""


def test_candidates():
    found = _stun.candidates(ET.fromstring(TRANSPORT), _xmpp.ICE_UDP)
    assert [(c["ip"], c["type"]) for c in found] == [("192.0.2.1", "host"), ("2001:db8::1", "srflx")]


@pytest.mark.parametrize(
    ("data", "frame", "rest"),
    [
        (b"\x81\x05Hello", (True, 1, b"Hello"), b""),
        (b"\x01\x03Hel\x80\x02lo", (False, 1, b"Hel"), b"\x80\x02lo"),
        (b"\x89\x05Hello", (True, 9, b"Hello"), b""),
        (b"\x82\x7e\x01\x00" + b"x" * 256, (True, 2, b"x" * 256), b""),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + b"x" * 65536, (True, 2, b"x" * 65536), b""),
        (b"\x81\x05Hell", None, b"\x81\x05Hell"),
        (b"\x81", None, b"\x81"),
        (b"", None, b""),
        (b"\x82\x7e\x01", None, b"\x82\x7e\x01"),
    ],
)
def test_frames_are_rfc_6455(data, frame, rest):
    assert _https.parse_frame(data) == (frame, rest)


@given(st.binary(max_size=300))
def test_frames_of_anything_end(data):
    while True:
        frame, rest = _https.parse_frame(data)
        if frame is None:
            break
        assert len(rest) < len(data)
        data = rest


def test_a_document_type_is_refused():
    with pytest.raises(_xmpp.XmppError, match="document type"):
        _xmpp.parse('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(_xmpp.XmppError, match="not XML"):
        _xmpp.parse("<a>")


@pytest.mark.parametrize(
    ("stanza", "expected"),
    [
        ('<iq><error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>', "no condition"),
        ('<iq xmlns="jabber:client"><error type="cancel"><not-allowed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>'
         '<text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">Room creation is restricted</text></error></iq>',
         "not-allowed (Room creation is restricted)"),
        ('<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>', "not-authorized"),
        ('<iq xmlns="jabber:client"/>', "no condition"),
    ],
)
def test_error_conditions(stanza, expected):
    assert _xmpp.condition(ET.fromstring(stanza)) == expected


def test_the_capabilities_hash_is_xep_0115():
    """Section 5.2's example has an identity; by the same rule, without one."""
    import base64
    import hashlib

    text = "<".join(sorted(_xmpp.FEATURES)) + "<"
    assert _xmpp.CAPS_VERSION == base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
    assert len(set(_xmpp.FEATURES)) == len(_xmpp.FEATURES)


@pytest.mark.parametrize(
    ("text", "domain", "muc"),
    [
        ('// x\nvar config = {"hosts": {"domain": "a.b", "muc": "conference.a.b"}};\n(function () {}());', "a.b", "conference.a.b"),
        ("var config = {\n    hosts: {\n        domain: 'a.b',\n        muc: 'conference.a.b',\n    },\n};", "a.b", "conference.a.b"),
        ("<html>404</html>", None, None),
    ],
)
def test_reading_config_js(text, domain, muc):
    hosts = _conference.read_config(text)["hosts"]
    assert (hosts.get("domain"), hosts.get("muc")) == (domain, muc)


def test_a_name_that_does_not_exist_is_dns():
    steps = _conference.Check("does-not-exist.invalid").run()
    assert [(step.name, step.ok, step.layer) for step in steps] == [("name", False, "DNS")]
    assert "DNS is at fault" in _conference.verdict("does-not-exist.invalid", steps)


def test_a_closed_port_is_named_as_such():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    steps = _conference.Check("meet.example.edu", address="127.0.0.1", port=port).run()
    assert [step.layer for step in steps if not step.ok] == ["TLS"]
    assert "refused" in steps[-1].detail


def test_a_certificate_of_nobody_is_refused(tmp_path):
    from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki

    now = __import__("datetime").datetime.now(__import__("datetime").timezone.utc)
    ca, key = _pki.make_ca(bytes(32), "meet.example.edu", now), _pki.derived_key(bytes(32), "x")
    (tmp_path / "crt").write_text(_pki.pem(_pki.issue(ca, bytes(32), key, ["meet.example.edu"], 9, now)))
    (tmp_path / "key").write_text(_pki.pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            for _number in range(2):
                try:
                    context.wrap_socket(listener.accept()[0], server_side=True).close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        refused = _conference.Check("meet.example.edu", address="127.0.0.1", port=port, timeout=3).run()
        trusted = _conference.Check("meet.example.edu", address="127.0.0.1", port=port, timeout=3, ca=_pki.pem(ca)).run()
        thread.join()
    assert (refused[-1].name, refused[-1].layer) == ("tls", "TLS")
    assert "certificate refused" in refused[-1].detail
    assert [step.ok for step in trusted][:2] == [True, True]


def test_the_table_lines_up():
    steps = [_conference.Step("name", True, 0.001, "x"), _conference.Step("conference request", False, 12.5, "y", "jicofo", "z")]
    lines = _conference.table(steps)
    assert len({line.index(mark) for line, mark in zip(lines, ("what", "x", "y"))}) == 1
    assert "FAILED" in lines[2] and "12500 ms" in lines[2]
