# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of an installation as a table, and what is wrong with them. Pure functions."""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

try:
    from cryptography import x509
    from cryptography.x509.oid import NameOID
except ImportError:  # said by campus.jitsi.validate
    pass

from ansible_collections.campus.jitsi.plugins.plugin_utils._pki import served_names

#: What to do about a certificate that ends soon although something should have renewed it.
RENEW = {
    "self_signed": "its host should have renewed it: see `journalctl -u campus.jitsi-certificates` there, or run the site playbook",
    "acme": "certbot should have renewed it: see `journalctl -u certbot` there, or run the site playbook",
    "files": "give a new one with `jitsi_tls_certificate_file` and `jitsi_tls_key_file`, and run the site playbook",
}
HEAD = ("host", "port", "names", "issuer", "days left", "as on disk")


@dataclasses.dataclass
class Row:
    """One line: where, what, and what is wrong with it (empty for nothing)."""

    host: str
    port: str
    names: str = "-"
    issuer: str = "-"
    days: str = "-"
    same: str = "-"
    problem: str = ""


def rows(seen: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]], ca: str, ca_file: str, warn_days: int,
         now: datetime.datetime) -> list[Row]:
    """The table of all hosts.

    :param seen: by host, what :mod:`served_certificates` found
    :param ca: the installation's own authority, PEM, empty when there is none yet
    :raises ValueError: what a host shows is no certificate
    """
    found = []
    for host, certificates in seen.items():
        for certificate in certificates:
            found += [row(host, certificate, served, warn_days, now) for served in certificate["served"]]
            if certificate["issuer"]:
                found.append(authority(host, f"issuer of {certificate['name']}", certificate["issuer"], warn_days, now,
                                       f"the issuer of {certificate['path']}", "run the site playbook, which makes a new one"))
    if ca:
        found.append(authority("(controller)", "authority", ca, warn_days, now, f"the installation's own authority, {ca_file},",
                               "remove the file and run the site playbook, and have everybody trust the new one"))
    return found


def row(host: str, certificate: t.Mapping[str, t.Any], served: t.Mapping[str, t.Any], warn_days: int, now: datetime.datetime) -> Row:
    """The line of one port."""
    where = f"{host} port {served['port']} ({served['name']})"
    line = Row(host, str(served["port"]))
    if not served["certificate"]:
        line.same = "no"
        line.problem = f"{where} shows no certificate: {served['error'] or 'no answer'}; see that {certificate['service'] or 'its service'} runs there."
        return line
    shown = x509.load_pem_x509_certificate(served["certificate"].encode())
    same = bool(certificate["on_disk"]) and shown == x509.load_pem_x509_certificate(certificate["on_disk"].encode())
    line.names, line.issuer, line.same = ", ".join(served_names(shown)) or "-", issuer_name(shown), "yes" if same else "no"
    left = shown.not_valid_after_utc - now
    line.days = str(left.days)
    if not same:
        service = certificate["service"]
        line.problem = (f"{where} shows another certificate than {certificate['path']}: "
                        + (f"run `systemctl reload {service}` there, or the site playbook." if service else "run the site playbook."))
    elif left < datetime.timedelta(days=warn_days):
        line.problem = f"{where} shows a certificate that {ending(left)}: {RENEW[certificate['source']]}."
    return line


def authority(host: str, port: str, text: str, warn_days: int, now: datetime.datetime, what: str, fix: str) -> Row:
    """The line of a certificate that signs others."""
    certificate = x509.load_pem_x509_certificate(text.encode())
    left = certificate.not_valid_after_utc - now
    line = Row(host, port, common_name(certificate.subject), issuer_name(certificate), str(left.days))
    if left < datetime.timedelta(days=warn_days):
        line.problem = f"{host}: {what} {ending(left)}: {fix}."
    return line


def ending(left: datetime.timedelta) -> str:
    """How a sentence about a certificate goes on.

    >>> ending(datetime.timedelta(days=3)), ending(datetime.timedelta(hours=-1))
    ('has 3 days left', 'has expired')
    """
    if left < datetime.timedelta(0):
        return "has expired"
    return f"has {left.days} day{'' if left.days == 1 else 's'} left"


def common_name(name: x509.Name) -> str:
    """The common name, or all of the name when there is none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def issuer_name(certificate: x509.Certificate) -> str:
    return "itself" if certificate.issuer == certificate.subject else common_name(certificate.issuer)


def table(lines: t.Sequence[Row]) -> list[str]:
    """The table as text, its head first."""
    cells = [HEAD, *((line.host, line.port, line.names, line.issuer, line.days, line.same) for line in lines)]
    widths = [max(len(cell[column]) for cell in cells) for column in range(len(HEAD))]
    return ["  ".join(text.rjust(width) if number == 4 else text.ljust(width) for number, (text, width) in enumerate(zip(cell, widths))).rstrip()
            for cell in cells]
