# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What certbot is told, and what became of it in one sentence. Pure functions."""

from __future__ import annotations

import re
import typing as t

#: A pattern in what certbot prints, and the sentence. `{server}` is the directory, `{names}` are the names, `{account}` is the
#: folder of the account. The first that is found counts.
SENTENCES: tuple[tuple[str, str], ...] = (
    (r"(?i)account .{0,80}(?:deactivated|revoked|not valid)|status \W?(?:deactivated|revoked)",
     "{server} has deactivated the account of this host: remove {account} there, and the next run makes a new one"),
    (r"(?i)accountDoesNotExist|account (?:\S+ ){0,4}(?:not found|does not exist|unknown)|unable to find account|No Key ID|Account is not registered",
     "{server} does not know the account of this host any more: remove {account} there, and the next run makes a new one"),
    (r"(?i)externalAccountRequired|external ?account ?binding (?:is )?required|requires external account binding|must include externalAccountBinding",
     "{server} gives accounts to its customers only: set `jitsi_acme_eab_key_id` and `jitsi_acme_eab_hmac_key` to what it gave you"),
    (r"(?i)external ?account|\beab\b|hmac",
     "{server} does not take `jitsi_acme_eab_key_id` with `jitsi_acme_eab_hmac_key`: correct both as it gave them to you"),
    (r"(?i)rateLimited|too many (?:certificates|requests|failed|new orders|registrations)",
     "{server} gives no more certificates for {names} at the moment: wait for as long as it says below, and do not run this in between"),
    (r"(?i)rejectedIdentifier|forbidden by policy|policy forbids|blocked|blocklist",
     "{server} gives no certificate for {names}: its policy forbids the name; take another `jitsi_domain` or another directory"),
    (r"(?i)CAA record|urn:ietf:params:acme:error:caa|\bType:\s*caa",
     "the CAA record of {names} forbids {server} to sign it: add the authority to the record in DNS"),
    (r"\bType:\s*connection|urn:ietf:params:acme:error:connection",
     "{server} did not reach port 80 of {names}: have the name point to this host, and let port 80 in from everywhere"),
    (r"\bType:\s*dns|urn:ietf:params:acme:error:dns|NXDOMAIN|no valid (?:A|AAAA) records|DNS problem|no such host",
     "{server} finds no record for {names} in DNS: have the name point to this host, or the challenge's record be published"),
    (r"(?i)CERTIFICATE_VERIFY_FAILED|certificate verify failed",
     "the certificate of {server} is not of an authority that this host trusts: give its root with `jitsi_acme_ca_file`"),
    (r"(?i)NameResolutionError|Name or service not known|Temporary failure in name resolution|getaddrinfo|No address associated",
     "{server} has no address as this host sees it: correct `jitsi_acme_directory`, or the host's DNS"),
    (r"(?i)Connection refused|Max retries exceeded|ConnectTimeout|ReadTimeout|timed out.{0,40}(?:directory|HTTPSConnectionPool)|No route to host"
     r"|Network is unreachable|RemoteDisconnected|Connection (?:aborted|reset)|50\d (?:Server Error|Service|Bad Gateway)",
     "{server} does not answer this host: it is down, or a firewall keeps the host from it; run this again later"),
    (r"(?i)Could not bind TCP port 80|port 80 .{0,60}already in use",
     "port 80 of this host is held by another program, and the answer to the authority's question must come from there: stop that program"),
    (r"(?i)hook .{0,80}(?:exit|returned)(?:ed)? .{0,20}(?:error )?code|manual-auth-hook",
     "the script of `jitsi_acme_dns_auth_hook` failed: what it wrote is below"),
    (r"Timeout during connect|Fetching http",
     "{server} did not reach port 80 of {names}: have the name point to this host, and let port 80 in from everywhere"),
    (r"(?i)urn:ietf:params:acme:error:(?:unauthorized|incorrectResponse)|\bType:\s*(?:unauthorized|incorrectResponse)|Invalid response from"
     r"|incorrect (?:TXT|validation)",
     "what answers for {names} is not this host, or does not know the challenge: have the name point to this host alone"),
)


def problem(output: str, server: str, names: t.Sequence[str]) -> str:
    """One sentence for what certbot printed, with what to do, and what it said itself behind it.

    >>> problem("requests.exceptions.ConnectionError: [Errno 111] Connection refused", "https://ca/dir", ["a"])[:39]
    'https://ca/dir does not answer this hos'
    """
    for pattern, sentence in SENTENCES:
        if re.search(pattern, output):
            said = sentence.format(server=server, names=", ".join(names), account=account_folder(server))
            break
    else:
        said = f"certbot got no certificate for {', '.join(names)} from {server}"
    return f"{said}. The old certificate stays in service. certbot says: {essence(output)}"


def account_folder(server: str) -> str:
    """Where certbot keeps the account at a server.

    >>> account_folder("https://ca.example.edu/acme/directory")
    '/etc/letsencrypt/accounts/ca.example.edu/acme/directory'
    """
    return "/etc/letsencrypt/accounts/" + server.partition("://")[2]


def essence(output: str) -> str:
    """The lines of certbot's output that say something, as one.

    >>> essence("Saving debug log to /x\\nAn unexpected error occurred:\\nboom\\nAsk for help or search for solutions at ...")
    'An unexpected error occurred: boom'
    """
    noise = re.compile(r"Saving debug log|Ask for help|See the logfile|Requesting a certificate|Renewing an existing|Account registered"
                       r"|Some challenges have failed|^- - -|Plugins selected|^\s*$|^Hint:|Simulating")
    lines = [line.strip() for line in output.splitlines() if not noise.search(line)]
    return " ".join(lines)[-700:] or "nothing"


def settings(*, server: str, email: str, eab_key_id: str, eab_hmac_key: str) -> str:
    """certbot's configuration file: what is nobody's business is here and not in the command line.

    >>> print(settings(server="https://ca/dir", email="", eab_key_id="", eab_hmac_key=""), end="")
    server = https://ca/dir
    agree-tos = true
    register-unsafely-without-email = true
    """
    lines = [f"server = {server}", "agree-tos = true", f"email = {email}" if email else "register-unsafely-without-email = true"]
    if eab_key_id:
        lines += [f"eab-kid = {eab_key_id}", f"eab-hmac-key = {eab_hmac_key}"]
    return "\n".join(lines) + "\n"


def saved(text: str) -> dict[str, str]:
    """The settings of a renewal, from ``/etc/letsencrypt/renewal/NAME.conf``.

    >>> saved("version = 2\\n[renewalparams]\\nserver = https://ca/dir\\n")["server"]
    'https://ca/dir'
    """
    return dict(re.findall(r"(?m)^([a-z0-9_]+) = (.*)$", text))
