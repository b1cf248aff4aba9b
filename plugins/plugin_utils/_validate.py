# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can be wrong with an inventory, one sentence each. Pure functions: nothing here touches a host."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
import typing as t

from ansible.module_utils.parsing.convert_bool import BOOLEANS, BOOLEANS_FALSE

from ansible_collections.campus.jitsi.plugins.module_utils import _ldap
from ansible_collections.campus.jitsi.plugins.module_utils._names import did_you_mean, nearest
from ansible_collections.campus.jitsi.plugins.module_utils._stringprep import nodeprep, saslprep
from ansible_collections.campus.jitsi.plugins.plugin_utils._firewall import parse_source
from ansible_collections.campus.jitsi.plugins.plugin_utils._headers import to_csp
from ansible_collections.campus.jitsi.plugins.plugin_utils._jwt import secret_problem
from ansible_collections.campus.jitsi.plugins.plugin_utils._peers import peer_range
from ansible_collections.campus.jitsi.plugins.plugin_utils._render import to_systemd
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import SecretError, check_given

MINIMUM_ANSIBLE = (2, 17)
SUPPORTED = {"Debian": ("12", "13")}
#: The longest name that Prosody puts before the domain is one label of 13 characters and a dot, or two labels.
LONGEST_PREFIX = len("internal.auth.")
#: Days. Apple's systems refuse server certificates that are valid for more than 825 (support.apple.com/103769); one is for the hour
#: before a certificate was made.
LONGEST_LEAF = 824
EXAMPLE = "meet.example.edu"
#: What else listens on UDP on the host of a TURN server, or may: coturn itself, and a bridge.
UDP_PORTS = {3478: "coturn's own port", 5349: "coturn's own port", 10000: "the bridge's port"}
#: A room of the check of a conference (plugins/module_utils/_conference.py), and how many letters and digits it has.
CHECKED_ROOM = "campus-check-0123456789ab"
LONGEST_ROOM_MINIMUM = 23
#: The range of relay ports when nobody says another one (roles/coturn/defaults).
RELAY_PORTS = (49152, 65535)


#: Passwords that others chose, so that how long they are is not for us to say.
OF_OTHERS = frozenset({"prosody_ldap_bind_password", "jitsi_check_password"})
#: Texts of several lines with secrets in them.
TEXTS = frozenset({"jibri_rclone_config"})


def ansible_problem(version: str) -> str | None:
    """What is wrong with the version of ansible-core.

    >>> ansible_problem("2.14.18")
    'ansible-core 2.14.18 is too old: campus.jitsi needs 2.17 or newer; install it with pip in a virtual environment.'
    """
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers >= MINIMUM_ANSIBLE:
        return None
    wanted = ".".join(map(str, MINIMUM_ANSIBLE))
    return f"ansible-core {version} is too old: campus.jitsi needs {wanted} or newer; install it with pip in a virtual environment."


def os_problem(host: str, facts: t.Mapping[str, t.Any]) -> str | None:
    """What is wrong with a host's operating system; None also when it is not known."""
    name, version = facts.get("distribution"), str(facts.get("distribution_major_version", ""))
    if not name or version in SUPPORTED.get(name, ()):
        return None
    return f"{host} runs {name} {facts.get('distribution_version', version)}: campus.jitsi supports Debian 12 and 13; use a host with one of them."


def domain_problem(domain: t.Any) -> str | None:
    """What is wrong with ``jitsi_domain``.

    >>> domain_problem("https://meet.example.edu")
    '`jitsi_domain` is a URL: leave out `https://` and write `meet.example.edu`.'
    """
    if not isinstance(domain, str) or not domain.strip():
        return f"`jitsi_domain` is not set: give the name under which people will open the service, such as `{EXAMPLE}`."
    if "://" in domain:
        return f"`jitsi_domain` is a URL: leave out `{domain.partition('://')[0]}://` and write `{repaired(domain)}`."
    if domain.endswith("."):
        return f"`jitsi_domain` ends in a dot: write `{repaired(domain)}`."
    if domain != domain.lower():
        return f"`jitsi_domain` has upper case letters: write `{repaired(domain)}`."
    if "_" in domain:
        return f"`jitsi_domain` has an underscore, which no certificate covers: take a name such as `{repaired(domain)}`."
    if not domain.isascii():
        return "`jitsi_domain` has letters outside ASCII: write it in its `xn--` form."
    labels = domain.split(".")
    if all(label.isdigit() for label in labels) or ":" in domain:
        return f"`jitsi_domain` is an address or has a port: give a host name such as `{EXAMPLE}`."
    if any(not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels):
        return f"`jitsi_domain` is no host name: write letters, digits and hyphens with dots between, such as `{EXAMPLE}`."
    if len(labels) < 2:
        return f"`jitsi_domain` has one part only: give the full name, such as `{domain}.example.edu`."
    if len(domain) > 253 - LONGEST_PREFIX:
        return f"`jitsi_domain` is too long: names such as `internal.auth.` are put before it; take {253 - LONGEST_PREFIX} characters at most."
    return None


def route_problems(routes: t.Any, domain: t.Any) -> list[str]:
    """What is wrong with ``nginx_meet_tls_routes``.

    >>> route_problems([{"name": "turn.example.edu", "address": "127.0.0.1"}], "meet.example.edu")
    ["`nginx_meet_tls_routes[0].address` is '127.0.0.1': write it as host:port, such as `127.0.0.1:5349`."]
    """
    found: list[str] = []
    names: set[str] = set()
    for number, route in enumerate(routes if isinstance(routes, list) else ()):
        where = f"`nginx_meet_tls_routes[{number}]"
        if not isinstance(route, dict):
            found.append(f"{where}` is no dictionary but {type_name(route)}: write it with `name` and `address`.")
            continue
        keys = ("name", "address")
        found += [f"{where}.{key}` is no setting{did_you_mean(str(key), keys) or ': take name and address.'}" for key in route if key not in keys]
        found += [f"{where}` has no `{key}`: give it the {what}." for key, what in zip(keys, ("name that clients ask for", "host:port behind it"))
                  if not route.get(key)]
        name, address = route.get("name"), route.get("address")
        if name and (not isinstance(name, str) or not is_host_name(name)):
            found.append(f"{where}.name` is {name!r}: give a host name in lower case, such as `turn.{EXAMPLE}`.")
        elif name and name == domain:
            found.append(f"{where}.name` is `jitsi_domain`, which is the site itself: give the other server a name of its own.")
        elif name in names:
            found.append(f"{where}.name` is there twice: give each name one route.")
        if isinstance(name, str):
            names.add(name)
        if address and not is_host_and_port(address):
            found.append(f"{where}.address` is {address!r}: write it as host:port, such as `127.0.0.1:5349`.")
    return found


def front_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the other ``nginx_meet_`` variables, alone or together. What has the wrong type is passed over here.

    >>> front_problems({"nginx_meet_trusted_proxies": ["0.0.0.0/0"]})
    ['`nginx_meet_trusted_proxies`: 0.0.0.0/0 is everybody, who could then give any address as his own: name the proxies.']
    """
    found = []
    proxies = variables.get("nginx_meet_trusted_proxies") or []
    behind = str(variables.get("nginx_meet_behind_proxy", False)).lower() in ("true", "yes", "on", "1", "y", "t")
    for proxy in proxies if isinstance(proxies, list) else ():
        try:
            # What nginx believes is also what the firewall lets in.
            network = parse_source(proxy)
        except ValueError as error:
            found.append(f"`nginx_meet_trusted_proxies`: {proxy!r}: {error}.")
            continue
        if network.prefixlen == 0:
            found.append(f"`nginx_meet_trusted_proxies`: {proxy} is everybody, who could then give any address as his own: name the proxies.")
    if behind and not proxies:
        found.append("`nginx_meet_behind_proxy` is true and `nginx_meet_trusted_proxies` is empty: name the addresses of the proxy there.")
    if variables.get("nginx_meet_tls_routes") and behind:
        found.append("`nginx_meet_tls_routes` needs port 443, which is a proxy's with `nginx_meet_behind_proxy`: let that proxy route by name, "
                     "and leave the routes out.")
    elif variables.get("nginx_meet_tls_routes") and proxies:
        found.append("`nginx_meet_tls_routes` and `nginx_meet_trusted_proxies` exclude each other: a proxy in front has one TLS connection for "
                     "all names; leave one of them out.")
    port = variables.get("nginx_meet_http_port")
    if is_number(port) and (not 0 < int(port) < 65536 or behind and int(port) in OTHER_PORTS):
        found.append(f"`nginx_meet_http_port` is {port}, which is no port or another service's: take a free one, such as 8000.")
    for origin in variables.get("nginx_meet_frame_ancestors") or () if isinstance(variables.get("nginx_meet_frame_ancestors"), list) else ():
        if not isinstance(origin, str) or not re.fullmatch(r"https://(\*\.)?[a-z0-9.-]+(:[0-9]+)?", origin):
            found.append(f"`nginx_meet_frame_ancestors`: {origin!r} is no origin: write scheme and host, such as `https://moodle.example.edu`.")
    policy = variables.get("nginx_meet_content_security_policy")
    if isinstance(policy, dict):
        try:
            to_csp({str(name).rstrip("+-"): value if value is not None else [] for name, value in policy.items()})
        except ValueError as error:
            found.append(f"`nginx_meet_content_security_policy`: {error}.")
    for name in ("hsts_max_age", "join_rate", "join_burst", "bosh_rate", "bosh_burst", "connections", "worker_connections"):
        value = variables.get(f"nginx_meet_{name}")
        if is_number(value) and int(value) < 0:
            found.append(f"`nginx_meet_{name}` is {value}: give 0 or more.")
    return found


def shared_port_problem(variables: t.Mapping[str, t.Any], host: str, web: t.Collection[str], turn: t.Collection[str]) -> str | None:
    """What is wrong with a TURN server that shares port 443 with a site whose TLS connections come from a proxy: it is not reached there.

    >>> shared_port_problem({"nginx_meet_trusted_proxies": ["192.0.2.1"]}, "meet", ["meet"], []) is None
    True
    """
    shares = host in web and host in turn and is_true(variables.get("coturn_tls_443", True))
    if shares and variables.get("nginx_meet_trusted_proxies") and not is_true(variables.get("nginx_meet_behind_proxy", False)):
        return (f"`nginx_meet_trusted_proxies` and a TURN server on port 443 of {host} exclude each other: a proxy in front has one TLS connection "
                "for all names; set `coturn_tls_443: false`, or give `jitsi_coturn` a host of its own.")
    return None


#: What other services of the installation listen on: XMPP, Prosody's HTTP, jicofo, the bridge, and nginx itself.
OTHER_PORTS = frozenset({22, 80, 443, 3478, 4443, 5222, 5280, 5281, 5347, 5349, 8080, 8447, 8448, 8888, 9090, 10000})


def is_host_name(name: str) -> bool:
    """Whether ``name`` is a full host name in lower case.

    >>> is_host_name("turn.example.edu"), is_host_name("turn"), is_host_name("192.0.2.1"), is_host_name("a b.c")
    (True, False, False, False)
    """
    labels = name.split(".")
    return (len(labels) > 1 and len(name) < 254 and not labels[-1].isdigit()
            and all(re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", label) for label in labels))


def is_host_and_port(text: t.Any) -> bool:
    """Whether ``text`` is a host name, an IPv4 address or an IPv6 address in brackets, and a port.

    >>> is_host_and_port("127.0.0.1:5349"), is_host_and_port("[::1]:5349"), is_host_and_port("::1:5349"), is_host_and_port("a:99999")
    (True, True, False, False)
    """
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+):([0-9]{1,5})", text) if isinstance(text, str) else None
    return bool(match) and 0 < int(match[2]) < 65536


def repaired(domain: str) -> str:
    """The host name that ``domain`` was probably meant to be, with all its mistakes corrected at once.

    >>> repaired("https://My_Meet.example.edu.:443/room")
    'my-meet.example.edu'
    """
    host = domain.rpartition("://")[2].partition("/")[0].partition(":")[0]
    return host.strip(".").lower().replace("_", "-")


def variable_problems(variables: t.Mapping[str, t.Any], known: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """What is wrong with the names and types of a host's variables.

    :param variables: the host's variables; only those that look like ours are read
    :param known: the options of all roles' argument specs, by name
    """
    prefixes = sorted({re.match(r"(jitsi|nginx_meet|[a-z]+)_", name).group(0) for name in known})  # type: ignore[union-attr]
    found = []
    for name in sorted(variables):
        if name in known:
            found += type_problems(name, variables[name], known[name])
        elif name.startswith("jitsi_"):
            hint = did_you_mean(name, known) or ": names that start with `jitsi_` are the collection's; rename it."
            found.append(f"`{name}` is no variable of campus.jitsi{hint}")
        elif name.startswith(tuple(prefixes)) and nearest(name, known, cutoff=0.9):
            found.append(f"`{name}` is no variable of campus.jitsi{did_you_mean(name, known, cutoff=0.9)}")
    return found


def type_problems(name: str, value: t.Any, option: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the value of one known variable. A secret's value is never shown."""
    kind = option.get("type", "str")
    if kind == "dict" and not isinstance(value, dict):
        return [f"`{name}` is no dictionary but {type_name(value)}: write it as `key: value` lines below the name."]
    if kind == "list" and not isinstance(value, list):
        return [f"`{name}` is no list but {type_name(value)}: write it as `- item` lines below the name."]
    if kind == "int" and not is_number(value):
        return [f"`{name}` is no whole number but {type_name(value)}: write one without quotes or unit."]
    if kind == "bool" and not is_switch(value):
        return [f"`{name}` is neither true nor false but {type_name(value)}: take one of them."]
    # One that may be left out has a default, which is no secret.
    if name in OF_OTHERS and not (isinstance(value, str) and value.isprintable()):
        return [f"`{name}` is no text of one line: write it in quotes."]
    if option.get("no_log") and kind == "str" and name not in OF_OTHERS | TEXTS and ("default" not in option or value != option["default"]):
        try:
            check_given(f"`{name}`", value)
        except SecretError as error:
            return [str(error)]
    if "choices" in option and value not in option["choices"]:
        return [f"`{name}` is {value!r}: take one of {', '.join(map(str, option['choices']))}."]
    return []


def is_number(value: t.Any) -> bool:
    """Whether Ansible would take ``value`` for a whole number; what comes from a command line is text.

    >>> is_number(5), is_number("5"), is_number("5s"), is_number(True)
    (True, True, False, False)
    """
    return isinstance(value, int) and not isinstance(value, bool) or isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) is not None


def is_switch(value: t.Any) -> bool:
    """Whether Ansible would take ``value`` for true or false.

    >>> is_switch(False), is_switch("yes"), is_switch("maybe")
    (True, True, False)
    """
    return isinstance(value, (bool, int, str)) and str(value).lower() in BOOLEANS


def is_true(value: t.Any) -> bool:
    """What Ansible would make of a switch; what is none is true, and said elsewhere.

    >>> is_true("no"), is_true(True), is_true("maybe")
    (False, True, True)
    """
    return str(value).lower() not in {str(word).lower() for word in BOOLEANS_FALSE}


def type_name(value: t.Any) -> str:
    """A type in words.

    >>> type_name([]), type_name(None)
    ('a list', 'empty')
    """
    names = ((type(None), "empty"), (str, "a text"), (bool, "true or false"), ((int, float), "a number"), (list, "a list"),
             (dict, "a dictionary"))
    return next((name for kind, name in names if isinstance(value, kind)), "something else")


def secret_problems(secrets: t.Any) -> list[str]:
    """What is wrong with ``jitsi_secrets``."""
    if not isinstance(secrets, dict):
        return []
    found = []
    for label, value in secrets.items():
        try:
            check_given(f"`jitsi_secrets[{label!r}]`", value)
        except SecretError as error:
            found.append(str(error))
    return found


def generation_problems(generations: t.Any) -> list[str]:
    """What is wrong with ``jitsi_secret_generations``: found when a secret is made, a host would have been touched already."""
    if not isinstance(generations, dict):
        return []
    return [f"`jitsi_secret_generations[{label!r}]` is {number!r}: give a whole number from 1 up, without quotes."
            for label, number in generations.items() if isinstance(number, bool) or not isinstance(number, int) or number < 1]


def day_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with ``jitsi_tls_leaf_days`` and ``jitsi_tls_warn_days``."""
    leaf, warn = variables.get("jitsi_tls_leaf_days", 90), variables.get("jitsi_tls_warn_days", 14)
    if not is_number(leaf) or not is_number(warn):
        return []  # said by type_problems
    if not 3 <= int(leaf) <= LONGEST_LEAF:
        return [f"`jitsi_tls_leaf_days` is {leaf}: take a number from 3 to {LONGEST_LEAF}, for Apple's systems refuse certificates that are valid for longer."]
    if not 0 <= int(warn) < int(leaf) / 3:
        return [f"`jitsi_tls_warn_days` is {warn}, and certificates of {leaf} days are renewed when {int(leaf) // 3} are left: take a number below that, "
                "or raise `jitsi_tls_leaf_days`."]
    return []


def acme_problems(variables: t.Mapping[str, t.Any], web_hosts: t.Sequence[str]) -> list[str]:
    """What is wrong with the settings of ACME, one sentence each; what files hold is looked at elsewhere.

    :param variables: the host's variables, with the defaults of the role jitsi
    :param web_hosts: the hosts that serve the site
    """
    if variables.get("jitsi_tls_source") != "acme":
        return []
    found = []
    directory = variables.get("jitsi_acme_directory")
    if not isinstance(directory, str) or not re.fullmatch(r"https://[^\s/]+(/\S*)?", directory):
        found.append("`jitsi_acme_directory` is no https URL: give that of the server's directory, or leave it out for Let's Encrypt's.")
    elif str(variables.get("jitsi_acme_terms_agreed")).lower() not in ("true", "yes", "on", "1"):
        found.append(f"`jitsi_acme_terms_agreed` is not true: read the terms of service that {directory} names, and set it to true if you agree.")
    key_id, key = variables.get("jitsi_acme_eab_key_id"), variables.get("jitsi_acme_eab_hmac_key")
    if key_id and not key:
        found.append("`jitsi_acme_eab_key_id` is set and `jitsi_acme_eab_hmac_key` is not: set both, or none.")
    if key and not key_id:
        found.append("`jitsi_acme_eab_hmac_key` is set and `jitsi_acme_eab_key_id` is not: set both, or none.")
    challenge = variables.get("jitsi_acme_challenge")
    if challenge == "dns" and not variables.get("jitsi_acme_dns_auth_hook"):
        found.append("`jitsi_acme_dns_auth_hook` is not set: with `jitsi_acme_challenge: dns` give the script that publishes the record.")
    if challenge == "http" and len(web_hosts) > 1:
        found.append(f"`jitsi_acme_challenge: http` works with one web host, and there are {len(web_hosts)} ({', '.join(web_hosts)}), any of which "
                     "may get the server's question: take `jitsi_acme_challenge: dns`, or `jitsi_tls_source: files`.")
    return found


def log_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with how long logs are kept.

    >>> log_problems({"jitsi_log_days": -1})
    ['`jitsi_log_days` is -1: give how many days a line stays in a log, such as 7, or 0 for what the packages say.']
    """
    days = variables.get("jitsi_log_days", 0)
    if re.fullmatch(r"\d{1,4}", str(days)):
        return []
    return [f"`jitsi_log_days` is {days}: give how many days a line stays in a log, such as 7, or 0 for what the packages say."]


def access_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with who may enter and who moderates, one sentence each. Secrets are not shown.

    >>> access_problems({"jitsi_auth": "anonymous", "jitsi_auth_guests": True})
    ['`jitsi_auth_guests` is true and `jitsi_auth` is anonymous, where everybody is a guest: leave it out, or take internal, ldap or jwt.']
    """
    auth, moderation = variables.get("jitsi_auth", "anonymous"), variables.get("jitsi_moderation")
    guests = is_true(variables.get("jitsi_auth_guests", False))
    waits = is_true(variables.get("jitsi_wait_for_moderator", moderation == "token"))
    found = []
    if auth == "anonymous" and guests:
        found.append("`jitsi_auth_guests` is true and `jitsi_auth` is anonymous, where everybody is a guest: leave it out, or take internal, ldap or jwt.")
    if auth == "anonymous" and moderation == "authenticated":
        found.append("`jitsi_moderation` is authenticated and `jitsi_auth` is anonymous, where nobody logs in: take first or everyone.")
    if auth != "jwt" and moderation == "token":
        found.append(f"`jitsi_moderation` is token and `jitsi_auth` is {auth}, where there are no tokens: take "
                     f"{'first' if auth == 'anonymous' else 'authenticated'}, or `jitsi_auth: jwt`.")
    if guests and moderation == "first":
        found.append("`jitsi_moderation` is first and `jitsi_auth_guests` is true: the first could be a guest; take authenticated"
                     f"{', token' if auth == 'jwt' else ''} or everyone.")
    if moderation == "token" and guests and not waits:
        found.append("`jitsi_wait_for_moderator` is false and `jitsi_auth_guests` is true: guests would open rooms; leave one of them out.")
    if moderation != "token" and "jitsi_wait_for_moderator" in variables and waits:
        found.append("`jitsi_wait_for_moderator` is true and `jitsi_moderation` is not token: with passwords guests wait by themselves; leave it out.")
    if variables.get("jitsi_users") and auth != "internal":
        found.append(f"`jitsi_users` is set and `jitsi_auth` is {auth}: set `jitsi_auth: internal`, or leave the users out.")
    return [*found, *user_problems(variables.get("jitsi_users")), *(token_problems(variables) if auth == "jwt" else []),
            *(ldap_problems(variables) if auth == "ldap" else []), *limit_problems(variables)]


def user_problems(users: t.Any) -> list[str]:
    """What is wrong with ``jitsi_users``. Passwords are not shown.

    >>> user_problems([{"name": "ana"}, {"name": "Ana"}])
    ['`jitsi_users` has ana twice: XMPP takes upper and lower case for the same; leave one out.']
    """
    found: list[str] = []
    seen: set[str] = set()
    for number, user in enumerate(users if isinstance(users, list) else ()):
        where = f"jitsi_users[{number}]"
        if not isinstance(user, dict) or not isinstance(user.get("name"), str) or not user["name"]:
            found.append(f"`{where}` has no `name`: write it as `- name: ana`.")
            continue
        found += [f"`{where}.{key}` is no setting{did_you_mean(str(key), ('name', 'password')) or ': take name and password.'}"
                  for key in user if key not in ("name", "password")]
        try:
            name = nodeprep(user["name"])
        except ValueError as error:
            found.append(f"`{where}.name`: {error}; take letters, digits, dots and hyphens.")
            continue
        if name in seen:
            found.append(f"`jitsi_users` has {name} twice: XMPP takes upper and lower case for the same; leave one out.")
        seen.add(name)
        if user.get("password") is None and not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            found.append(f"`{where}` needs a `password`: one can be derived for names of letters, digits, dots and hyphens only.")
        if user.get("password") is not None:
            try:
                if not isinstance(user["password"], str) or not saslprep(user["password"]):
                    found.append(f"`{where}.password` is no text: give it in quotes, or leave it out for a derived one.")
            except ValueError as error:
                found.append(f"`{where}.password`: {error}.")
    return found


def token_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with ``jitsi_jwt_...``, when tokens are asked for. The files of keys are looked at elsewhere."""
    found = []
    sources = [name for name in ("public_keys", "keys_url", "key_server") if variables.get(f"jitsi_jwt_{name}")]
    if len(sources) > 1:
        found.append(f"{' and '.join(f'`jitsi_jwt_{name}`' for name in sources)} are set: there is one place for keys; leave the others out.")
    for name in ("jitsi_jwt_keys_url", "jitsi_jwt_key_server"):
        url = variables.get(name)
        if url and not (isinstance(url, str) and re.fullmatch(r"https://[^\s/]+(/\S*)?", url)):
            found.append(f"`{name}` is no https URL: whoever can change what it says could make tokens.")
    if "jitsi_jwt_app_id" in variables and not (isinstance(variables["jitsi_jwt_app_id"], str) and variables["jitsi_jwt_app_id"].strip()):
        found.append("`jitsi_jwt_app_id` is empty: give the name that your Moodle, Nextcloud or portal puts into tokens as `iss`.")
    for name in ("issuers", "audiences"):
        values = variables.get(f"jitsi_jwt_{name}")
        if isinstance(values, list) and not values:
            found.append(f"`jitsi_jwt_{name}` is empty, and no token would be taken: give at least one.")
    if "*" in (variables.get("jitsi_jwt_issuers") or ()):
        found.append("`jitsi_jwt_issuers` has `*`, which takes tokens of anybody whose key is known: name the issuers.")
    extra = variables.get("jitsi_jwt_extra_secrets")
    given = [("`jitsi_jwt_secret`", variables.get("jitsi_jwt_secret"))] if variables.get("jitsi_jwt_secret") else []
    for where, value in (*given, *((f"`jitsi_jwt_extra_secrets[{number}]`", value) for number, value in enumerate(extra if isinstance(extra, list) else ()))):
        problem = secret_problem(value)
        if problem:
            found.append(f"{where}: {problem}; take a longer one, such as from `openssl rand -hex 32`.")
    if is_number(variables.get("jitsi_jwt_previous_secrets")) and int(variables["jitsi_jwt_previous_secrets"]) < 0:
        found.append(f"`jitsi_jwt_previous_secrets` is {variables['jitsi_jwt_previous_secrets']}: write 0 or more.")
    for kid, key in (variables.get("jitsi_jwt_public_keys") or {}).items() if isinstance(variables.get("jitsi_jwt_public_keys"), dict) else ():
        if not isinstance(key, str) or not key.strip():
            found.append(f"`jitsi_jwt_public_keys[{kid!r}]` is empty: give the file of the key on the controller, or its PEM text.")
    login = variables.get("nginx_meet_login_url")
    if login and not (isinstance(login, str) and re.fullmatch(r"https://[^\s/]+(/\S*)?", login)):
        found.append("`nginx_meet_login_url` is no https URL: give that of the page where people log in.")
    return found


def room_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the rooms: ``prosody_room_...``, their features and reservations. What has the wrong type is passed over here.

    >>> room_problems({"prosody_lobby": False, "prosody_lobby_persistent": True, "jitsi_auth": "internal"})
    ['`prosody_lobby_persistent` is true and `prosody_lobby` is false: leave one of them out.']
    """
    found = []
    lobby, persistent = is_true(variables.get("prosody_lobby", True)), is_true(variables.get("prosody_lobby_persistent", False))
    auth = variables.get("jitsi_auth", "anonymous")
    waits = auth == "jwt" and (is_true(variables.get("jitsi_auth_guests", False))
                               or is_true(variables.get("jitsi_wait_for_moderator", variables.get("jitsi_moderation", "token") == "token")))
    if persistent and not lobby:
        found.append("`prosody_lobby_persistent` is true and `prosody_lobby` is false: leave one of them out.")
    elif persistent and auth == "anonymous":
        found.append("`prosody_lobby_persistent` is true and `jitsi_auth` is anonymous: nobody could come back to let people in; leave it out.")
    if waits and not lobby:
        found.append("`prosody_lobby` is false, and people without rights wait in a lobby with `jitsi_auth: jwt`: leave it out, or set "
                     "`jitsi_wait_for_moderator` and `jitsi_auth_guests` to false.")
    limits = {"prosody_room_minimum": (1, LONGEST_ROOM_MINIMUM), "prosody_max_occupants": (0, None), "prosody_reservations_retries": (0, None)}
    for name, (least, most) in limits.items():
        value = variables.get(name, least)
        if is_number(value) and (int(value) < least or most is not None and int(value) > most):
            found.append(f"`{name}` is {value}: take a number from {least} {f'to {most}' if most else 'up'}.")
    for name in ("prosody_room_weak_names", "prosody_room_refused_names"):
        found += room_name_problems(name, variables.get(name))
    message = variables.get("prosody_room_message", "-")
    if not isinstance(message, str) or not message.strip():
        found.append("`prosody_room_message` is no text: write what people are to read when a name is refused, or leave it out.")
    return found + reservation_problems(variables)


def room_name_problems(variable: str, names: t.Any) -> list[str]:
    """What is wrong with one list of names of rooms.

    >>> room_name_problems("prosody_room_refused_names", ["rector*", "*"])
    ['`prosody_room_refused_names[1]` is *, which is every room: write some letters beside it.']
    """
    found = []
    for number, name in enumerate(names if isinstance(names, list) else ()):
        where = f"`{variable}[{number}]`"
        if not isinstance(name, str):
            found.append(f"{where} is no text but {type_name(name)}: write it in quotes.")
        elif not any(letter.isalpha() for letter in name):
            found.append(f"{where} is {name}, which is every room: write some letters beside it." if set(name) == {"*"} else
                         f"{where} is {name!r}, which has no letter: names without one are refused anyway; leave it out.")
        elif re.search(r"[\s@/\"&'<>]", name):
            found.append(f"{where} is {name!r}, which is no name of a room: leave out spaces and signs.")
        elif "*" in name and fnmatch.fnmatchcase(CHECKED_ROOM, re.sub(r"[\[\]?]", "-", name.lower())):
            found.append(f"{where} is {name}, which is also the room of the check (`{CHECKED_ROOM}`): write more letters.")
    return found


def reservation_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with ``prosody_reservations_...``. Headers are not shown."""
    url, headers = variables.get("prosody_reservations_url"), variables.get("prosody_reservations_headers") or {}
    if not url:
        return ["`prosody_reservations_headers` is set and `prosody_reservations_url` is not: set both, or none."] if headers else []
    if not isinstance(url, str) or not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url):
        return ["`prosody_reservations_url` is no URL: write `https://` and what comes before `/conference`, without a question mark or a password."]
    found = []
    if url.startswith("http://") and not re.match(r"http://(127\.[0-9.]+|localhost|\[::1\])(:[0-9]+)?(/|$)", url):
        found.append("`prosody_reservations_url` is not https, and the system is on another host: who reads the line would learn all rooms; take https.")
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", str(name)) or not isinstance(value, str) or re.search(r"[\x00-\x1f\x7f]", value):
            found.append(f"`prosody_reservations_headers[{str(name)!r}]` is no header: write a name of letters and hyphens, and one line of text.")
    return found


def ldap_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with ``prosody_ldap_...``, when a directory is asked for. Passwords are not shown.

    >>> ldap_problems({"prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_base": "people"})
    ["`prosody_ldap_base` is 'people', which is no name of an entry: write it as `ou=people,dc=example,dc=edu`."]
    """
    found = []
    servers = variables.get("prosody_ldap_servers")
    if servers is None or isinstance(servers, list) and not servers:
        found.append("`prosody_ldap_servers` is empty and `jitsi_auth` is ldap: name at least one server, such as `ldap.example.edu`.")
    for server in servers if isinstance(servers, list) else []:
        name, colon, port = server.partition(":") if isinstance(server, str) else ("", "", "")
        if isinstance(server, str) and "://" in server:
            found.append(f"`prosody_ldap_servers` has {server!r}: write the name alone, and say with `prosody_ldap_tls` how it is spoken to.")
        elif not is_host_name(name) or colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            found.append(f"`prosody_ldap_servers` has {server!r}: write a full host name in lower case, as its certificate has it, such as "
                         "`ldap.example.edu` or `ldap.example.edu:1389`.")
    tls, insecure = variables.get("prosody_ldap_tls", "starttls"), is_true(variables.get("prosody_ldap_insecure", False))
    if tls == "none" and not insecure:
        found.append("`prosody_ldap_tls` is none, and every password would cross the network for all to read: take starttls or ldaps, or set "
                     "`prosody_ldap_insecure: true` where nobody can listen.")
    if tls != "none" and insecure:
        found.append(f"`prosody_ldap_insecure` is true and `prosody_ldap_tls` is {tls}, which is secure: leave `prosody_ldap_insecure` out.")
    if tls == "none" and variables.get("prosody_ldap_ca_file"):
        found.append("`prosody_ldap_ca_file` is set and `prosody_ldap_tls` is none, where there is no certificate: leave one of them out.")
    kind = variables.get("prosody_ldap_kind", "openldap")
    names = {"base": "ou=people,dc=example,dc=edu", "bind_dn": "cn=jitsi,ou=services,dc=example,dc=edu", "group": "cn=teachers,ou=groups,dc=example,dc=edu"}
    for name, example in names.items():
        value = variables.get(f"prosody_ldap_{name}")
        # Active Directory takes a user's name with a domain behind it, too.
        plain = name == "bind_dn" and kind == "active_directory" and isinstance(value, str) and re.fullmatch(r"[^@\s]+@[^@\s]+", value)
        if value and not plain and not _ldap.is_dn(value):
            found.append(f"`prosody_ldap_{name}` is {value!r}, which is no name of an entry: write it as `{example}`.")
    if not variables.get("prosody_ldap_base"):
        found.append(f"`prosody_ldap_base` is empty: name the entry below which people are, such as `{names['base']}`.")
    dn, password = variables.get("prosody_ldap_bind_dn"), "prosody_ldap_bind_password" in variables and variables["prosody_ldap_bind_password"]
    if dn and not password:
        found.append("`prosody_ldap_bind_dn` is set and `prosody_ldap_bind_password` is not: set both, or none for a directory that everybody may read.")
    if password and not dn:
        found.append("`prosody_ldap_bind_password` is set and `prosody_ldap_bind_dn` is not: set both, or none for a directory that everybody may read.")
    if kind == "active_directory" and not dn and not password:
        found.append("`prosody_ldap_bind_dn` is not set, and Active Directory shows nobody's entry to somebody unknown: give an account that may read.")
    source = variables.get("prosody_ldap_user_filter")
    problem = _ldap.user_filter_problem(source) if isinstance(source, str) else None
    if problem:
        found.append(f"`prosody_ldap_user_filter` is {source!r}: {problem}; write it as `(uid=$user)`.")
    return found


def limit_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the limits on logins. Long ones would let anybody lock out a teacher.

    >>> limit_problems({"prosody_login_period": 3600})
    ['`prosody_login_period` is 3600: take 1 to 600 seconds; for as long, anybody could keep somebody else out.']
    """
    attempts, period = variables.get("prosody_login_attempts"), variables.get("prosody_login_period")
    found = []
    if is_number(attempts) and int(attempts) < 3:
        found.append(f"`prosody_login_attempts` is {attempts}: take 3 or more, for people mistype.")
    if is_number(period) and not 1 <= int(period) <= 600:
        found.append(f"`prosody_login_period` is {period}: take 1 to 600 seconds; for as long, anybody could keep somebody else out.")
    return found


def repository_problems(repository: t.Any) -> list[str]:
    """What is wrong with ``jitsi_apt_repository``."""
    if not isinstance(repository, dict):
        return []
    keys = ("uri", "suite", "components", "key")
    return [f"`jitsi_apt_repository.{key}` is no setting{did_you_mean(str(key), keys) or ': take uri, suite, components and key.'}"
            for key in repository if key not in keys]


def turn_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with a host's variables for TURN, besides their types."""
    found = [
        *range_problems(variables.get("coturn_min_port", RELAY_PORTS[0]), variables.get("coturn_max_port", RELAY_PORTS[1])),
        *address_problems("coturn_allowed_peers", variables.get("coturn_allowed_peers"), ranges=True),
        *address_problems("coturn_public_addresses", variables.get("coturn_public_addresses"), ranges=False),
        *server_problems(variables.get("jitsi_turn_servers")),
    ]
    domain, region = variables.get("coturn_domain"), variables.get("coturn_region")
    if domain is not None and not (isinstance(domain, str) and is_host_name(domain)):
        found.append(f"`coturn_domain` is {domain!r}, which is no host name: write one in lower case such as `turn.{EXAMPLE}`.")
    if region and not (isinstance(region, str) and re.fullmatch(r"[A-Za-z0-9-]+", region)):
        found.append(f"`coturn_region` is {region!r}: write one word of letters, digits and hyphens.")
    for name in ("coturn_user_quota", "coturn_total_quota", "coturn_max_bps", "coturn_previous_secrets"):
        if is_number(variables.get(name)) and int(variables[name]) < 0:
            found.append(f"`{name}` is {variables[name]}: write 0 or more.")
    for name in ("coturn_extra_secrets",):
        for number, value in enumerate(variables.get(name) if isinstance(variables.get(name), list) else []):
            try:
                check_given(f"`{name}[{number}]`", value)
            except SecretError as error:
                found.append(str(error))
    for server in variables.get("nginx_meet_stun_servers") if isinstance(variables.get("nginx_meet_stun_servers"), list) else []:
        if not isinstance(server, str) or not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?", server) or server.startswith("stun:"):
            found.append(f"`nginx_meet_stun_servers` has {server!r}: write `host:port`, such as `stun.example.edu:3478`.")
    return found


def range_problems(first: t.Any, last: t.Any) -> list[str]:
    """What is wrong with the range of relay ports.

    >>> range_problems(9000, 11000)
    ["`coturn_min_port` to `coturn_max_port`, 9000 to 11000, has 10000 in it, the bridge's port: take a range such as 49152 to 65535."]
    """
    if not (is_number(first) and is_number(last)):
        return []  # said of the type already
    first, last = int(first), int(last)
    which, advice = f"`coturn_min_port` to `coturn_max_port`, {first} to {last},", f"take a range such as {RELAY_PORTS[0]} to {RELAY_PORTS[1]}."
    if first > last:
        return [f"{which} is upside down: put the lower port into `coturn_min_port`."]
    if first < 1024:
        return [f"{which} starts below 1024, where ports take a privilege that coturn does not have: {advice}"]
    if last > 65535:
        return [f"{which} ends above 65535, the last port there is: {advice}"]
    inside = [port for port in UDP_PORTS if first <= port <= last]
    return [f"{which} has {inside[0]} in it, {UDP_PORTS[inside[0]]}: {advice}"] if inside else []


def address_problems(name: str, values: t.Any, ranges: bool) -> list[str]:
    """What is wrong with a list of addresses, or with ``ranges`` of addresses, networks and ranges.

    >>> address_problems("coturn_allowed_peers", ["bridge1"], True)
    ["`coturn_allowed_peers` has 'bridge1': write an address, a network such as 192.0.2.0/24 or a range such as 192.0.2.1-192.0.2.9."]
    """
    found = []
    for value in values if isinstance(values, list) else []:
        try:
            if ranges:
                peer_range(value)
            else:
                ipaddress.ip_address(value)
        except ValueError:
            what = "an address, a network such as 192.0.2.0/24 or a range such as 192.0.2.1-192.0.2.9" if ranges else "an address such as 192.0.2.1"
            found.append(f"`{name}` has {value!r}: write {what}.")
    return found


def server_problems(servers: t.Any) -> list[str]:
    """What is wrong with ``jitsi_turn_servers``. Secrets are not shown."""
    keys = ("host", "region", "port", "tls_port", "address", "secret")
    found = []
    for number, server in enumerate(servers if isinstance(servers, list) else []):
        where = f"jitsi_turn_servers[{number}]"
        if not isinstance(server, dict) or not server.get("host"):
            found.append(f"`{where}` has no `host`: write the name of the TURN server, as `- host: turn.example.edu`.")
            continue
        found += [f"`{where}.{key}` is no setting{did_you_mean(str(key), keys) or ': take ' + ', '.join(keys) + '.'}" for key in server if key not in keys]
        found += [f"`{where}.{key}` is {server[key]!r}: write a port number." for key in ("port", "tls_port")
                  if key in server and not (is_number(server[key]) and 0 <= int(server[key]) <= 65535)]
        if server.get("region") and not re.fullmatch(r"[A-Za-z0-9-]+", str(server["region"])):
            found.append(f"`{where}.region` is {server['region']!r}: write one word of letters, digits and hyphens.")
        if "secret" in server:
            try:
                check_given(f"`{where}.secret`", server["secret"])
            except SecretError as error:
                found.append(str(error))
    return found


class TurnHost(t.NamedTuple):
    """A TURN server of the inventory, for :func:`turn_host_problems`."""

    host: str
    domain: str
    check_name: bool
    tls_source: str


def turn_host_problems(hosts: t.Sequence[TurnHost], jitsi_domain: str, known: t.Callable[[str], bool]) -> list[str]:
    """What is wrong with the TURN servers of an inventory, seen together.

    :param known: whether DNS knows a name

    >>> turn_host_problems([TurnHost("a", "t.x.edu", True, "files")], "x.edu", lambda name: False)
    ['`coturn_domain` of a, t.x.edu, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later.']
    """
    found = []
    by_name: dict[str, list[str]] = {}
    for each in hosts:
        by_name.setdefault(each.domain, []).append(each.host)
    for domain, names in by_name.items():
        if len(names) > 1:
            found.append(f"`coturn_domain` is {domain} for {' and '.join(names)}: give each TURN server a name of its own.")
    for each in hosts:
        if each.tls_source == "self_signed" and not (each.domain == jitsi_domain or each.domain.endswith("." + jitsi_domain)):
            found.append(f"`coturn_domain` of {each.host}, {each.domain}, is outside of {jitsi_domain}, for which alone the installation's own authority "
                         f"can sign: take a name such as turn.{jitsi_domain}, or `jitsi_tls_source: files`.")
        if each.check_name and not known(each.domain):
            found.append(f"`coturn_domain` of {each.host}, {each.domain}, is not in DNS: add its address record, or set `coturn_check_name: false` "
                         "when it comes later.")
    return found


def memory_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with the heaps: Java does not start with one that it cannot read.

    >>> memory_problems({"jvb_max_memory": "2 GB", "jicofo_max_memory": "512m"})
    ["`jvb_max_memory` is '2 GB': write it as Java does, a whole number with `m` or `g` behind it, such as `2048m`."]
    """
    return [f"`{name}` is {value!r}: write it as Java does, a whole number with `m` or `g` behind it, such as `2048m`."
            for name, value in variables.items()
            if name.endswith("_max_memory") and not (isinstance(value, str) and re.fullmatch(r"[1-9][0-9]*[mMgG]", value))]


def recorder_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with a host's recorders and with what becomes of recordings.

    >>> recorder_problems({"jibri_resolution": "HD"})
    ["`jibri_resolution` is 'HD': write it as WIDTHxHEIGHT, both even, such as `1280x720`."]
    """
    found = []
    size = variables.get("jibri_resolution", "1280x720")
    match = re.fullmatch(r"([1-9][0-9]{2,3})x([1-9][0-9]{2,3})", str(size))
    if not match or int(match[1]) % 2 or int(match[2]) % 2:
        found.append(f"`jibri_resolution` is {size!r}: write it as WIDTHxHEIGHT, both even, such as `1280x720`.")
    for name, least, what in (("jibri_instances", 1, "take the host out of `jitsi_jibri` for none"), ("jibri_framerate", 1, "15 and 30 are usual"),
                              ("jibri_cpus", 1, "one recorder needs a whole one at the least")):
        value = variables.get(name, least)
        if not re.fullmatch(r"[0-9]+", str(value)) or int(value) < least:
            found.append(f"`{name}` is {value!r}: give a whole number of {least} or more; {what}.")
    if variables.get("jibri_sound") == "alsa" and str(variables.get("jibri_instances", 1)).isdigit() and int(variables.get("jibri_instances", 1)) > 8:
        found.append(f"`jibri_instances` is {variables['jibri_instances']}, and `jibri_sound` is `alsa`, whose card has eight loopbacks: lower the one, or "
                     "set the other to `pulseaudio`.")
    memory = str(variables.get("jibri_memory", "3072m"))
    if not re.fullmatch(r"[1-9][0-9]*[mMgG]", memory):
        found.append(f"`jibri_memory` is {memory!r}: write a whole number with `m` or `g` behind it, such as `3072m`.")
    elif int(memory[:-1]) * (1024 if memory[-1] in "gG" else 1) < 1024:
        found.append(f"`jibri_memory` is {memory}: a browser and an encoder need 1024m at the least.")
    for name in ("jibri_recordings", "jibri_move_to"):
        path = variables.get(name) or ""
        if path and (not str(path).startswith("/") or str(path).rstrip("/") in ("", "/tmp", "/var", "/home", "/srv", "/etc")):
            found.append(f"`{name}` is {path!r}: give a folder of its own, as a whole path, such as `/srv/jitsi/recordings`.")
        elif re.match(r"/(home|root|tmp|var/tmp|run|dev|proc|sys)/", str(path)):
            found.append(f"`{name}` is {path!r}, which services do not see or do not keep: give a folder in another place, such as `/srv/jitsi/recordings`.")
    return [*found, *_chrome_problems(variables), *_finalize_problems(variables), *_target_problems(variables.get("jitsi_streaming_targets") or [])]


def _chrome_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with where Google Chrome comes from."""
    repository, keys = variables.get("jibri_chrome_repository") or {}, ("uri", "suite", "components", "key")
    if not isinstance(repository, dict):
        return []
    found = [f"`jibri_chrome_repository.{key}` is no setting{did_you_mean(str(key), keys) or ': take uri, suite, components and key.'}"
             for key in repository if key not in keys]
    missing = [key for key in ("uri", "suite", "key") if not repository.get(key)]
    if variables.get("jibri_browser") == "chrome" and missing and not found:
        found.append(f"`jibri_browser` is `chrome`, and `jibri_chrome_repository` has no {' and no '.join(missing)}: name an archive with Chrome and its "
                     "driver, or take `chromium`.")
    return found


def _finalize_problems(variables: t.Mapping[str, t.Any]) -> list[str]:
    """What is wrong with what is to be done with a finished recording."""
    action = variables.get("jibri_finalize", "keep")
    if action == "move" and not variables.get("jibri_move_to"):
        return ["`jibri_finalize` is `move`, and `jibri_move_to` does not say where to: give the folder on the recorder's host."]
    if action == "script" and not variables.get("jibri_finalize_script"):
        return ["`jibri_finalize` is `script`, and `jibri_finalize_script` is not set: give the path of the script on the controller."]
    if action != "rclone":
        return []
    remote, colon, _path = str(variables.get("jibri_rclone_remote") or "").partition(":")
    if not colon or not re.fullmatch(r"[\w. +@-]+", remote):
        return ["`jibri_finalize` is `rclone`, and `jibri_rclone_remote` is no REMOTE:PATH: write it like `cloud:recordings`."]
    known = re.findall(r"(?m)^\s*\[([^\]]+)\]\s*$", str(variables.get("jibri_rclone_config") or ""))
    if remote not in known:
        there = f"has {', '.join(known)}" if known else "is empty"
        return [f"`jibri_rclone_remote` names the remote `{remote}`, and `jibri_rclone_config` {there}: give it a section `[{remote}]`, as "
                "`rclone config show` prints it."]
    return []


def _target_problems(targets: t.Any) -> list[str]:
    """What is wrong with the addresses that may be streamed to."""
    found = []
    for number, target in enumerate(targets if isinstance(targets, list) else []):
        where = f"`jitsi_streaming_targets[{number}]`"
        try:
            pattern = re.compile(str(target))
        except re.error as error:
            found.append(f"{where} is no regular expression ({error}): write one such as `rtmps?://live[.]example[.]edu/.*`.")
            continue
        if pattern.fullmatch("rtmp://anything.example.net/x"):
            found.append(f"{where} allows every server: name the servers, such as `rtmps?://live[.]example[.]edu/.*`.")
    return found


def sandbox_problems(variables: t.Mapping[str, t.Any], directives: t.Iterable[str]) -> list[str]:
    """What is wrong with the variables ``..._sandbox``. A misspelt directive would be ignored by systemd.

    :param directives: names that the collection uses itself, to tell what may have been meant
    """
    found = []
    for variable, settings in variables.items():
        if not variable.endswith("_sandbox") or not isinstance(settings, dict):
            continue
        for key, value in settings.items():
            name = str(key).rstrip("+-")
            if name not in directives and nearest(name, directives, cutoff=0.85):
                found.append(f"`{variable}.{name}` is no directive of systemd{did_you_mean(name, directives, cutoff=0.85)}")
            elif not (value is None and str(key).endswith("-")):
                try:
                    to_systemd({"Service": {name: value}})
                except ValueError as error:
                    found.append(f"`{variable}.{str(error).partition('.')[2]}.")
    return found
