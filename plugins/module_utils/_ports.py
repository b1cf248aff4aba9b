# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one table of ports: what listens on which host, who may reach it, and what for. Pure functions and data.

The check of hosts before a run, the firewall, the matrix of ``campus.jitsi.status`` and docs/ports.md all read this.
"""

from __future__ import annotations

import typing as t

#: Who may reach a port, besides the names of roles: the hosts that have the role.
EVERYBODY = "everybody"
NOBODY = "nobody"
MONITORING = "monitoring"
ADMINISTRATORS = "administrators"
PROXIES = "proxies"
TELEPHONY = "telephony"


class Port(t.NamedTuple):
    """One row.

    :param role: whose port it is; empty for every host's
    :param port: a number, or ``{first}-{last}`` with names in :data:`VARIABLES`
    :param who: one of the words above, or names of roles
    :param purpose: what for
    :param mark: what the command line of its rightful holder has in it
    :param alone: only on a host that does not have this role as well
    :param when: variables with the values that they must have, of :data:`VARIABLES`
    :param local: whether the host's own programs use it, so that it is there also when no other host may reach it
    """

    role: str
    port: str
    protocol: str
    who: tuple[str, ...]
    purpose: str
    mark: str
    alone: str = ""
    when: tuple[tuple[str, str], ...] = ()
    local: bool = True


#: The variables that the table depends on, with their defaults: those of roles are not seen from other hosts.
VARIABLES: dict[str, t.Any] = {
    "coturn_min_port": 49152,
    "coturn_max_port": 65535,
    "coturn_tls_443": "true",
    "jigasi_max_port": 20199,
    "jigasi_min_port": 20000,
    "jigasi_sip_sources": [],
    "jitsi_tls_source": "self_signed",
    "jitsi_acme_challenge": "http",
    "nginx_meet_behind_proxy": False,
    "nginx_meet_http_port": 8000,
    "nginx_meet_trusted_proxies": [],
}
_FRONT = (("nginx_meet_behind_proxy", "false"),)
COMPONENTS = ("jicofo", "jvb", "jibri", "jigasi")
PORTS = (
    Port("", "{ssh}", "tcp", (ADMINISTRATORS,), "SSH, for Ansible and for you", "sshd"),
    Port("nginx_meet", "80", "tcp", (EVERYBODY,), "the way to HTTPS, and challenges of ACME", "nginx", when=_FRONT),
    Port("nginx_meet", "443", "tcp", (EVERYBODY,), "the web client, signalling of browsers, and TURN that shares the host", "nginx", when=_FRONT),
    Port("nginx_meet", "{nginx_meet_http_port}", "tcp", (PROXIES,), "the web client for the proxies that have TLS; nginx refuses others, too", "nginx",
         when=(("nginx_meet_behind_proxy", "true"),)),
    Port("prosody", "5222", "tcp", COMPONENTS, "XMPP of the components, over TLS", "prosody"),
    Port("prosody", "5280", "tcp", (NOBODY,), "signalling of browsers, from nginx on the same host", "prosody"),
    Port("prosody", "5281", "tcp", ("nginx_meet",), "signalling of browsers, from nginx on other hosts, over TLS", "prosody", local=False),
    Port("jicofo", "8888", "tcp", (MONITORING,), "requests for conferences from nginx on the same host, health and metrics", "jicofo"),
    Port("jvb", "10000", "udp", (EVERYBODY,), "media", "jitsi-videobridge"),
    Port("jvb", "8080", "tcp", (MONITORING,), "drain, health and metrics", "jitsi-videobridge"),
    Port("jibri", "2222", "tcp", (NOBODY,), "health of the host's first recorder; that of the second is on 2223, and so on", "jibri"),
    Port("jibri", "3333", "tcp", (NOBODY,), "the end of the first recorder; that of the second is on 3334, and so on", "jibri"),
    Port("coturn", "3478", "udp", (EVERYBODY,), "STUN and TURN", "turnserver"),
    Port("coturn", "3478", "tcp", (EVERYBODY,), "TURN over TCP", "turnserver"),
    Port("coturn", "5349", "tcp", (EVERYBODY,), "TURN over TLS", "turnserver"),
    Port("coturn", "443", "tcp", (EVERYBODY,), "TURN over TLS, where nothing else is let out", "turnserver", alone="nginx_meet",
         when=(("coturn_tls_443", "true"),)),
    # Two for each of the five accounts that a host may have.
    Port("jigasi", "5060-5069", "udp", (TELEPHONY,), "SIP over UDP, from registrars and exchanges", "jigasi"),
    Port("jigasi", "5060-5069", "tcp", (TELEPHONY,), "SIP over TCP and TLS, from registrars and exchanges", "jigasi"),
    Port("jigasi", "{jigasi_min_port}-{jigasi_max_port}", "udp", (TELEPHONY,), "voices of telephones", "jigasi"),
    Port("jigasi", "8788-8797", "tcp", (MONITORING,), "health and metrics, one for each account", "jigasi"),
    # An additional listener of coturn, which 5349 is beside 443, is there for UDP, too, and nothing takes that away.
    Port("coturn", "5349", "udp", (EVERYBODY,), "STUN and TURN, which comes with TLS on 5349", "turnserver", alone="nginx_meet",
         when=(("coturn_tls_443", "true"),)),
    Port("coturn", "80", "tcp", (EVERYBODY,), "challenges of ACME", "certbot", alone="nginx_meet",
         when=(("jitsi_tls_source", "acme"), ("jitsi_acme_challenge", "http")), local=False),
    Port("coturn", "{coturn_min_port}-{coturn_max_port}", "udp", (EVERYBODY,), "relayed media", "turnserver", local=False),
)
#: What the host needs besides, on either family, that is no service of ours: answers of DHCP servers.
CLIENTS = ((68, "udp"), (546, "udp"))


def rows(roles: t.Collection[str], variables: t.Mapping[str, t.Any] | None = None) -> list[Port]:
    """The rows of a host with these roles.

    >>> [row.port for row in rows(["jvb"])]
    ['{ssh}', '10000', '8080']
    """
    values = {**VARIABLES, **(variables or {})}
    return [
        row for row in PORTS
        if (not row.role or row.role in roles) and row.alone not in roles and all(_word(values[name]) == value for name, value in row.when)
    ]


def _word(value: t.Any) -> str:
    """A value of a variable in one spelling: Ansible takes many for true and false."""
    word = str(value).lower()
    return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(word, word)


def span(row: Port, variables: t.Mapping[str, t.Any] | None = None) -> tuple[int, int]:
    """The first and the last port of a row.

    >>> span(PORTS[1]), span(PORTS[-1], {"coturn_max_port": 60000})
    ((80, 80), (49152, 60000))
    """
    first, _minus, last = row.port.format_map({**VARIABLES, **(variables or {})}).partition("-")
    return int(first), int(last or first)


def shown(first: int, last: int, protocol: str) -> str:
    """A port or a range as people write it.

    >>> shown(443, 443, "tcp"), shown(49152, 65535, "udp")
    ('443/tcp', '49152-65535/udp')
    """
    return f"{first}/{protocol}" if first == last else f"{first}-{last}/{protocol}"
