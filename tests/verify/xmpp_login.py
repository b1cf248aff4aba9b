# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to an XMPP server as a component does, and print what became of it in one word.

Runs on a managed host with the standard library only: ``python3 - SERVER DOMAIN USER CA [SECONDS]`` with ``PASSWORD = ...``
before this text on standard input. Prints ``success``, the SASL condition such as ``not-authorized``, or ``untrusted``. With a
number of seconds, it stays logged in and says with a second word, ``closed`` or ``open``, what the server did in that time.
"""

import base64
import re
import socket
import ssl
import sys

SERVER, DOMAIN, USER, CA = sys.argv[1:5]
SECONDS = float(sys.argv[5]) if len(sys.argv) > 5 else 0
STREAM = f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{DOMAIN}' version='1.0'>"


def talk(connection, text, until):
    """Send and read until a pattern comes."""
    connection.sendall(text.encode())
    answer = ""
    while not re.search(until, answer):
        part = connection.recv(4096)
        if not part:
            break
        answer += part.decode(errors="replace")
    return answer


def main():
    """The login."""
    connection = socket.create_connection((SERVER, 5222), timeout=10)
    features = talk(connection, STREAM, "</stream:features>|</stream:stream>")
    if "starttls" not in features:
        return "no-starttls"
    if "<required" not in features:
        return "tls-not-required"
    talk(connection, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed")
    context = ssl.create_default_context(cafile=CA or None)
    try:
        connection = context.wrap_socket(connection, server_hostname=DOMAIN)
    except ssl.SSLCertVerificationError:
        return "untrusted"
    talk(connection, STREAM, "</stream:features>")
    word = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()  # noqa: F821 (set before this text)
    answer = talk(connection, f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{word}</auth>", "<success|</failure>")
    found = re.search(r"<(success)|<failure[^>]*><([a-z-]+)", answer)
    if found and found.group(1) and SECONDS:
        return stay(connection)
    return (found.group(1) or found.group(2)) if found else "no-answer"


def stay(connection):
    """Be online until the server ends the stream or the time is over."""
    talk(connection, STREAM, "</stream:features>")
    talk(connection, "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "<jid>")
    print("success", flush=True)
    connection.settimeout(SECONDS)
    try:
        while True:
            part = connection.recv(4096)
            if not part or b"</stream:stream>" in part:
                return "closed"
    except TimeoutError:
        return "open"


print(main())
