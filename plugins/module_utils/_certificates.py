# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of a host: what is renewed when, how it comes into place, and who is told.

This file is two things. The modules import it; and the collection puts it on the host, where a timer and certbot's deploy hook
run it, so that a renewal without Ansible is the same as one by Ansible. So it stands alone: only the standard library, and
Debian's `openssl`. No key is ever in a command line.

    certificates.py renew      what the timer runs: renew what is due, and reload who serves something older
    certificates.py deploy     what certbot runs after a renewal: put the new files in place, and reload

Each certificate has a description, ``/etc/campus.jitsi/certificates/NAME.json``, with: ``source`` (self_signed, acme or files),
``names`` (list of host names), ``certificate`` and ``key`` (paths), ``owner``, ``group``, ``key_mode``, ``days``, ``service`` (the
systemd unit to reload, or empty) and ``served`` (where it is served, see :mod:`served_certificates`). One of the installation's own
authority has an issuer beside it, ``NAME.issuer.crt`` and ``NAME.issuer.key``, which can sign these names only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import glob
import grp
import json
import os
import pwd
import re
import subprocess
import sys
import tempfile
import time
import typing as t

FOLDER = "/etc/campus.jitsi/certificates"
SCRIPT = "/usr/local/lib/campus.jitsi/certificates.py"
UNIT = "campus.jitsi-certificates"
#: certbot's, with a lineage of its own name, so that no other certificate of the host is touched.
CERTBOT = "/etc/letsencrypt"
LOCK = "/run/campus.jitsi-certificates.lock"
#: Seconds. Clocks differ; a certificate is valid from an hour before it was made.
BACKDATE = 3600
DAY = 86400

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)

REQUEST = """\
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
certificate = {issuer}.crt
private_key = {issuer}.key
default_md = sha256
policy = any
x509_extensions = leaf
[any]
commonName = supplied
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[req]
distinguished_name = subject
prompt = no
[subject]
commonName = {common}
"""

SERVICE = f"""\
# Managed by campus.jitsi.
[Unit]
Description=Renew the certificates of campus.jitsi that are due

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {SCRIPT} renew
UMask=0077
NoNewPrivileges=yes
PrivateNetwork=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectHome=yes
ProtectSystem=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
"""

TIMER = """\
# Managed by campus.jitsi.
[Unit]
Description=Renew the certificates of campus.jitsi that are due

[Timer]
OnCalendar=daily
RandomizedDelaySec=6h
# A host that was off catches up.
Persistent=true

[Install]
WantedBy=timers.target
"""


class CertificateError(Exception):
    """A certificate cannot be made or read; the message is one sentence."""


@dataclasses.dataclass
class Certificate:
    """What matters here of a certificate; times in seconds since 1970, the key as PEM text."""

    start: float
    end: float
    names: frozenset[str]
    public: str

    def due(self, now: float) -> bool:
        return due(self.start, self.end, now)


def due(start: float, end: float, now: float) -> bool:
    """Whether a certificate is to be renewed: when less than a third of its life is left. Let's Encrypt and certbot say the same.

    >>> due(0, 90, 59), due(0, 90, 61)
    (False, True)
    """
    return end - now < (end - start) / 3


def blocks(text: str) -> list[str]:
    """The certificates in a PEM text, one text each."""
    return PEM.findall(text)


# --- openssl -------------------------------------------------------------------------------------------------------


def openssl(*words: str, data: str | None = None) -> str:
    """What `openssl` prints.

    :raises CertificateError: it is not installed, or fails
    """
    try:
        done = subprocess.run(["openssl", *words], input=data, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})
    except FileNotFoundError as error:
        raise CertificateError("`openssl` is not installed: run `apt-get install openssl`.") from error
    if done.returncode:
        raise CertificateError(f"`openssl {words[0]}` failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def look(text: str) -> Certificate:
    """Read the first certificate of a PEM text.

    :raises CertificateError: there is none
    """
    shown = openssl("x509", "-noout", "-startdate", "-enddate", "-ext", "subjectAltName", "-pubkey", data=text)
    return Certificate(
        start=moment(shown, "notBefore"), end=moment(shown, "notAfter"),
        names=frozenset(name.lower() for name in re.findall(r"DNS:([^,\s]+)", shown)),
        public=shown[shown.index("-----BEGIN PUBLIC KEY"):].strip(),
    )


def moment(shown: str, which: str) -> float:
    """A date as openssl shows it, in seconds since 1970.

    >>> moment("notAfter=Jan  2 00:00:00 1970 GMT", "notAfter")
    86400.0
    """
    match = re.search(rf"(?m)^{which}=(.*) GMT$", shown)
    if not match:
        raise CertificateError(f"openssl shows no {which}.")
    return datetime.datetime.strptime(match[1], "%b %d %H:%M:%S %Y").replace(tzinfo=datetime.timezone.utc).timestamp()


def public_key(path: str) -> str:
    return openssl("pkey", "-in", path, "-pubout").strip()


def signed_by(text: str, issuer: str) -> bool:
    """Whether the first certificate of ``text`` is of the issuer in file ``issuer``, whose constraints it keeps."""
    try:
        # `-partial_chain`: the root need not be on this host. `-no_check_time`: the times are looked at elsewhere.
        openssl("verify", "-partial_chain", "-no_check_time", "-trusted", issuer, data=text)
    except CertificateError:
        return False
    return True


# --- what is due ---------------------------------------------------------------------------------------------------


def stem(name: str) -> str:
    """The path of a certificate's files without their endings."""
    return os.path.join(FOLDER, name)


def read(path: str) -> str:
    """The text of a file, empty when there is none."""
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def renewal_reason(description: dict[str, t.Any], now: float) -> str | None:
    """Why the certificate of a description, one of the installation's own authority, must be made anew; None when it is good."""
    issuer = stem(description["name"]) + ".issuer.crt"
    text = read(description["certificate"])
    try:
        certificate = look(text)
    except CertificateError:
        return "there is none"
    if not signed_by(text, issuer) or blocks(text)[1:] != blocks(read(issuer)):
        return "there is none of this issuer"
    if certificate.public != public_key(description["key"]):
        return "its key has changed"
    if certificate.names != frozenset(name.lower() for name in description["names"]):
        return "its names have changed"
    if certificate.due(now):
        return f"it has {max(int((certificate.end - now) // DAY), 0)} days left"
    if certificate.end - certificate.start > description["days"] * DAY + 2 * BACKDATE:
        return "it is valid for longer than it should"
    return None


def issue(description: dict[str, t.Any], now: float) -> str:
    """A new certificate for the key that is there, with its issuer's behind it, PEM.

    `openssl ca` and not `openssl x509`, because Debian 12's cannot set the beginning with that.

    :raises CertificateError: the issuer is missing or has expired
    """
    issuer = stem(description["name"]) + ".issuer"
    limit = look(read(issuer + ".crt")).end
    if limit < now:
        raise CertificateError(f"{issuer}.crt has expired: run the site playbook, which makes a new one.")
    end = min(now + description["days"] * DAY, limit)
    with tempfile.TemporaryDirectory(prefix="campus.jitsi-") as folder:
        config, request = os.path.join(folder, "config"), os.path.join(folder, "request")
        names = ", ".join(f"DNS:{name}" for name in description["names"])
        for path, text in ((config, REQUEST.format(folder=folder, issuer=issuer, names=names, common=description["names"][0][:64])),
                           (os.path.join(folder, "index"), "")):
            with open(path, "w", encoding="ascii") as handle:
                handle.write(text)
        openssl("req", "-new", "-config", config, "-key", description["key"], "-out", request)
        leaf = openssl("ca", "-batch", "-notext", "-config", config, "-startdate", stamp(now - BACKDATE), "-enddate", stamp(end), "-in", request)
    return leaf + read(issuer + ".crt")


def stamp(seconds: float) -> str:
    """A time as `openssl ca` takes it.

    >>> stamp(86400)
    '19700102000000Z'
    """
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ")


# --- putting in place ----------------------------------------------------------------------------------------------


def install(path: str, text: str, owner: str, group: str, mode: int) -> bool:
    """Have a file with this text, owner and mode, whole or not at all, and never readable by more. True when something changed."""
    # A user that only a package brings is not there yet in a check.
    uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            same = handle.read() == text
            info = os.fstat(handle.fileno())
        if same and (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (uid, gid, mode):
            return False
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".campus.jitsi-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    return True


def put(description: dict[str, t.Any], certificate: str, key: str | None = None) -> bool:
    """Put a certificate, and the key when one is given, where its service reads them. The key first: the service reads both again
    when it is reloaded, which comes after."""
    changed = False
    if key is not None:
        changed = install(description["key"], key, description["owner"], description["group"], int(description["key_mode"], 8))
    return install(description["certificate"], certificate, description["owner"], description["group"], 0o644) or changed


def lineage(name: str) -> tuple[str, str] | None:
    """What certbot has for a description: the certificate with its chain, and the key. None when there is nothing."""
    folder = os.path.join(CERTBOT, "live", lineage_name(name))
    certificate, key = read(os.path.join(folder, "fullchain.pem")), read(os.path.join(folder, "privkey.pem"))
    return (certificate, key) if certificate and key else None


def lineage_name(name: str) -> str:
    """What certbot calls it.

    >>> lineage_name("web")
    'campus.jitsi-web'
    """
    return f"campus.jitsi-{name}"


def bring(description: dict[str, t.Any], now: float) -> str | None:
    """Renew a certificate when it is due, or put in place what certbot has renewed. What was done, None for nothing."""
    if description["source"] == "self_signed":
        reason = renewal_reason(description, now)
        if reason:
            put(description, issue(description, now))
        return reason
    if description["source"] == "acme":
        have = lineage(description["name"])
        if have and put(description, *have):
            return "certbot has a new one"
    return None


# --- telling who serves it -----------------------------------------------------------------------------------------


def reload_if_older(description: dict[str, t.Any]) -> bool:
    """Reload the service of a description when it was started and last reloaded before its files changed, so that a renewal that
    died half way is finished by the next. A service that does not run reads them when it starts. True when it was reloaded.

    :raises CertificateError: it cannot be reloaded
    """
    unit = description["service"]
    if not unit:
        return False
    show = subprocess.run(["systemctl", "show", "--timestamp=us+utc", "--property=ActiveState,StateChangeTimestamp", unit],
                          capture_output=True, text=True, check=False).stdout
    if "ActiveState=active" not in show:
        return False
    match = re.search(r"StateChangeTimestamp=\S+ (\S+ \S+) UTC", show)
    last = datetime.datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=datetime.timezone.utc).timestamp() if match else 0.0
    newest = max((os.stat(description[which]).st_mtime for which in ("certificate", "key") if os.path.exists(description[which])), default=0.0)
    if newest <= last:
        return False
    done = subprocess.run(["systemctl", "reload", unit], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CertificateError(f"{unit} cannot be reloaded: {done.stderr.strip()}")
    return True


@contextlib.contextmanager
def one_at_a_time() -> t.Iterator[None]:
    """A run of Ansible, the timer and certbot may meet."""
    with open(LOCK, "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def descriptions() -> list[dict[str, t.Any]]:
    """What this host has."""
    return [json.loads(read(path)) for path in sorted(glob.glob(os.path.join(FOLDER, "*.json")))]


def main(words: list[str]) -> int:
    """Do what the timer or certbot asks for, for every certificate, also when one of them fails."""
    if words not in (["renew"], ["deploy"]):
        sys.stderr.write(__doc__ + "\n")
        return 2
    if words == ["deploy"]:
        # certbot runs this for every lineage that was renewed with it.
        ours = os.path.basename(os.environ.get("RENEWED_LINEAGE", ""))
        chosen = [d for d in descriptions() if d["source"] == "acme" and lineage_name(d["name"]) == ours]
    else:
        chosen = descriptions()
    failed = 0
    with one_at_a_time():
        for description in chosen:
            try:
                done = bring(description, time.time())
                if done:
                    sys.stdout.write(f"{description['certificate']} is new: {done}\n")
                if reload_if_older(description):
                    sys.stdout.write(f"{description['service']} was reloaded\n")
            except (CertificateError, OSError, KeyError) as error:
                sys.stderr.write(f"{description['certificate']}: {error}\n")
                failed = 1
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
