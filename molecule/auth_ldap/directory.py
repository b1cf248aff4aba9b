#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make this host the directory of a campus, for tests: some slapd with the same people, each with another certificate.

one and two are as they should be, wrong has the name of another host, foreign is of an authority that nobody knows.
"""

import os
import pathlib
import shutil
import subprocess
import time

PLACE = pathlib.Path("/srv/directory")
BASE = "dc=campus,dc=test"
#: Ports of LDAP and LDAPS, the name in the certificate, and who signs it.
SERVERS = {
    "one": (389, 636, "ldap1.lab.test", "ca"), "two": (1389, 1636, "ldap2.lab.test", "ca"), "wrong": (2389, 2636, "elsewhere.lab.test", "ca"),
    "foreign": (3389, 3636, "ldap1.lab.test", "stranger"),
}
GROUP = r"cn=Teachers (all)\, $user 100%s *"
#: Name, password, and how Active Directory says whether an account is switched on (512) or off (514): OpenLDAP knows nothing of that,
#: and locks the account of the second teacher in its own way, below.
PEOPLE = (("teacher", "teaches algebra", 512), ("disabled", "taught algebra", 512), ("former", "taught geometry", 514), ("student", "learns algebra", 512))

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
# As Active Directory has them. slapd knows its rule of bits, and not the one of nested groups.
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
objectclass ( 1.1.2.2.1 NAME 'campusAccount' AUXILIARY MAY ( sAMAccountName $ userAccountControl ) )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
TLSCertificateFile {place}/{name}.crt
TLSCertificateKeyFile {place}/{name}.key
# Nobody's password crosses the network for all to read.
security simple_bind=128
localSSF 128
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact=uid=reader,ou=services,{base} read by * none
database mdb
suffix {base}
rootdn cn=admin,{base}
rootpw administers
directory {place}/{name}
overlay memberof
overlay ppolicy
ppolicy_default cn=policy,ou=services,{base}
"""


def run(*words, **more):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **{"cwd": PLACE, **more})


def entries():
    """What is in it, as LDIF."""
    def entry(name, *lines):
        return "\n".join([f"dn: {name},{BASE}" if name else f"dn: {BASE}", *lines, "", ""])

    yield entry("", "objectClass: dcObject", "objectClass: organization", "o: campus")
    for unit in ("people", "groups", "services"):
        yield entry(f"ou={unit}", "objectClass: organizationalUnit")
    yield entry("cn=policy,ou=services", "objectClass: organizationalRole", "objectClass: pwdPolicy", "pwdAttribute: userPassword", "pwdLockout: TRUE",
                "pwdMaxFailure: 1000")
    # Prosody's own account is somebody who may log in, so that people can try its password.
    yield entry("uid=reader,ou=services", "objectClass: account", "objectClass: simpleSecurityObject", "userPassword: reads names")
    for name, password, control in PEOPLE:
        yield entry(f"uid={name},ou=people", "objectClass: inetOrgPerson", "objectClass: campusAccount", f"cn: {name}", f"sn: {name}",
                    f"sAMAccountName: {name}", f"userAccountControl: {control}", f"userPassword: {password}")
    # The empty group is for a warning.
    yield entry(f"{GROUP},ou=groups", "objectClass: groupOfNames", f"member: uid=reader,ou=services,{BASE}",
                *(f"member: uid={name},ou=people,{BASE}" for name in ("teacher", "disabled", "former")))
    yield entry("cn=Nobody,ou=groups", "objectClass: groupOfNames", "member:")
    # Active Directory has such at the top: whoever is not found is answered with it.
    yield entry("cn=else", "objectClass: referral", "objectClass: extensibleObject", "ref: ldap://192.0.2.1/dc=else,dc=test")
    yield entry("uid=disabled,ou=people", "changetype: modify", "add: pwdAccountLockedTime", "pwdAccountLockedTime: 000001010000Z")


def certificates():
    for name in ("ca", "stranger"):
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN=Directory of {name}", "-keyout", f"{name}.key",
            "-out", f"{name}.crt", "-addext", "basicConstraints=critical,CA:TRUE", stderr=subprocess.DEVNULL)
    for name, (_plain, _tls, domain, signer) in SERVERS.items():
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={domain}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            stderr=subprocess.DEVNULL)
        (PLACE / f"{name}.ext").write_text(f"subjectAltName=DNS:{domain}\n", encoding="ascii")
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", f"{signer}.crt", "-CAkey", f"{signer}.key", "-CAcreateserial", "-days", "30",
            "-extfile", f"{name}.ext", "-out", f"{name}.crt", stderr=subprocess.DEVNULL)


run("systemctl", "disable", "slapd", cwd="/", stderr=subprocess.DEVNULL)
run("systemctl", "stop", "slapd", cwd="/")
for name in SERVERS:
    subprocess.run(["systemctl", "stop", f"directory-{name}"], check=False, stderr=subprocess.DEVNULL)
shutil.rmtree(PLACE, ignore_errors=True)
PLACE.mkdir(mode=0o700)
certificates()
(PLACE / "people.ldif").write_text("".join(entries()), encoding="utf-8")
(PLACE / "administers").write_text("administers", encoding="ascii")
os.chmod(PLACE / "administers", 0o600)
for name, (plain, tls, _domain, _signer) in SERVERS.items():
    (PLACE / name).mkdir()
    (PLACE / f"{name}.conf").write_text(CONFIG.format(place=PLACE, name=name, base=BASE), encoding="ascii")
    socket = f"ldapi://{str(PLACE / name).replace('/', '%2F')}.socket"
    pathlib.Path(f"/etc/systemd/system/directory-{name}.service").write_text(
        f"[Service]\nExecStart=/usr/sbin/slapd -d 0 -f {PLACE}/{name}.conf -h \"ldap://:{plain} ldaps://:{tls} {socket.replace('%', '%%')}\"\n"
        "[Install]\nWantedBy=multi-user.target\n", encoding="ascii")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", f"directory-{name}", stderr=subprocess.DEVNULL)
    for _attempt in range(100):
        # The socket is there before anybody listens at it.
        if subprocess.run(["ldapwhoami", "-x", "-H", socket], check=False, capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    run("ldapmodify", "-a", "-x", "-H", socket, "-D", f"cn=admin,{BASE}", "-y", "administers", "-f", "people.ldif")
