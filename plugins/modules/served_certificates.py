#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: the certificates that a host has, and those that it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: served_certificates
short_description: Find the certificates that a host has on disk, and those that its services show
version_added: 0.1.0
description:
  - For every certificate that M(campus.jitsi.certificate) put on this host, reads the file and connects to each port where it is
    served, as a client does. M(campus.jitsi.certificate_report) compares them.
  - It changes nothing and judges nothing. A certificate is fetched without being verified, since a bad one is what one wants to see,
    and nothing is sent over such a connection.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  timeout:
    description: How many seconds a service may take to answer.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Look at the certificates of this host
  campus.jitsi.served_certificates:
  register: seen
"""

RETURN = r"""
certificates:
  description:
    - Each with C(name), C(source), C(names), C(path), C(service), C(on_disk) and C(issuer) (PEM, empty when there is none), and C(served),
      a list with C(port), C(name), C(certificate) (PEM, empty when there is none) and C(error).
  type: list
  elements: dict
  returned: success
"""

import re
import socket
import ssl
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _certificates

STREAM = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='{name}' version='1.0'>"


def start_tls(connection: socket.socket, name: str) -> None:
    """Bring an XMPP stream to where TLS begins (RFC 6120, section 5.4).

    :raises OSError: the server does not go along
    """
    for text, until in ((STREAM.format(name=name), "</stream:features>"), ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed[^>]*>")):
        connection.sendall(text.encode())
        answer = ""
        while not re.search(until, answer):
            part = connection.recv(4096)
            if not part or len(answer) > 65536:
                raise OSError(f"the server offers no TLS for {name}")
            answer += part.decode(errors="replace")


def fetch(where: t.Mapping[str, t.Any], timeout: float) -> str:
    """The certificate that is shown there, PEM.

    :raises OSError: nothing answers, or without TLS
    """
    with socket.create_connection((where.get("address", "127.0.0.1"), where["port"]), timeout=timeout) as connection:
        if where.get("protocol") == "xmpp":
            start_tls(connection, where["name"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The one place where a certificate is not verified: it is looked at in order to be judged, one that is expired or of the
        # wrong name, too, and nothing is sent to whoever showed it. Nothing else may be done with this connection.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(connection, server_hostname=where["name"]) as wrapped:
            return ssl.DER_cert_to_PEM_cert(wrapped.getpeercert(binary_form=True) or b"")


def seen(description: t.Mapping[str, t.Any], timeout: float) -> dict[str, t.Any]:
    """One certificate, on disk and at its ports."""
    served = []
    for where in description["served"]:
        found = {"port": where["port"], "name": where["name"], "certificate": "", "error": ""}
        try:
            found["certificate"] = fetch(where, timeout)
        except OSError as error:
            found["error"] = error.strerror or str(error)
        served.append(found)
    on_disk = _certificates.blocks(_certificates.read(description["certificate"]))
    return {
        **{key: description[key] for key in ("name", "source", "names", "service")},
        "path": description["certificate"],
        "on_disk": on_disk[0] if on_disk else "",
        "issuer": _certificates.read(_certificates.stem(description["name"]) + ".issuer.crt"),
        "served": served,
    }


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(argument_spec={"timeout": {"type": "float", "default": 5}}, supports_check_mode=True)
    found = [seen(description, module.params["timeout"]) for description in _certificates.descriptions()]
    module.exit_json(changed=False, certificates=found)


if __name__ == "__main__":
    main()
