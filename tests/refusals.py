# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that cannot work, and what is said of each.

tests/unit/test_refusals.py has the collection's own action judge all of them; tests/verify/test_refusals.py has whole runs refuse some, for that
takes twenty times as long.
"""

from __future__ import annotations

EXAMPLE = "meet.example.edu"
GOOD = {"jitsi_domain": EXAMPLE}

#: By name: variables of the group `jitsi`, groups of roles besides it, words of the command line, and what must be said.
REFUSALS = {
    "no domain": (
        {}, {}, [],
        ["`jitsi_domain` is not set: give the name under which people will open the service, such as `meet.example.edu`."],
    ),
    "a domain with a scheme": (
        {"jitsi_domain": f"https://{EXAMPLE}"}, {}, [],
        ["`jitsi_domain` is a URL: leave out `https://` and write `meet.example.edu`."],
    ),
    "a domain with an underscore": (
        {"jitsi_domain": "my_meet.example.edu"}, {}, [],
        ["`jitsi_domain` has an underscore, which no certificate covers: take a name such as `my-meet.example.edu`."],
    ),
    "a domain in upper case": (
        {"jitsi_domain": "Meet.Example.edu"}, {}, [],
        ["`jitsi_domain` has upper case letters: write `meet.example.edu`."],
    ),
    "a domain with a dot at its end": (
        {"jitsi_domain": f"{EXAMPLE}."}, {}, [],
        ["`jitsi_domain` ends in a dot: write `meet.example.edu`."],
    ),
    "two hosts in jitsi_prosody": (
        GOOD, {"prosody": ["one", "two"]}, [],
        ["`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "no bridge": (
        GOOD, {"prosody": ["meet"], "jicofo": ["meet"], "nginx_meet": ["meet"]}, [],
        ["`jitsi_jvb` has no host, and every host of `jitsi` is in a group of another role: put a host into `jitsi_jvb`."],
    ),
    "settings that are a list": (
        {**GOOD, "jvb_config": ["videobridge"]}, {}, [],
        ["`jvb_config` is no dictionary but a list: write it as `key: value` lines below the name."],
    ),
    "settings that are a text": (
        {**GOOD, "prosody_config": "strict"}, {}, [],
        ["`prosody_config` is no dictionary but a text: write it as `key: value` lines below the name."],
    ),
    "settings that are empty": (
        {**GOOD, "jicofo_config": None, "nginx_meet_config": 5}, {}, [],
        ["`jicofo_config` is no dictionary but empty: write it as `key: value` lines below the name.",
         "`nginx_meet_config` is no dictionary but a number: write it as `key: value` lines below the name."],
    ),
    "a short secret": (
        {**GOOD, "jitsi_secrets": {"xmpp/focus": "hunter2hunter2-"}, "jvb_xmpp_password": "hunter2"}, {}, [],
        ["`jvb_xmpp_password`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made.",
         "`jitsi_secrets['xmpp/focus']`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made."],
    ),
    "a heap that Java cannot read": (
        {**GOOD, "jvb_max_memory": "2 GB"}, {}, [],
        ["`jvb_max_memory` is '2 GB': write it as Java does, a whole number with `m` or `g` behind it, such as `2048m`."],
    ),
    "a directive of systemd that is none": (
        {**GOOD, "jvb_sandbox": {"ProtectSytem": "full", "ReadWritePath+": ["/srv"]}, "nginx_meet_sandbox": {"PrivateTmp": None}}, {}, [],
        ["`jvb_sandbox.ProtectSytem` is no directive of systemd: did you mean `ProtectSystem`?",
         "`jvb_sandbox.ReadWritePath` is no directive of systemd: did you mean `ReadWritePaths`?",
         "`nginx_meet_sandbox.PrivateTmp` is empty (null), which no directive takes; remove one with `PrivateTmp-:` instead."],
    ),
    "a misspelt variable": (
        {**GOOD, "jitsi_unknown_key": "warn", "jvb_confg": {}}, {}, [],
        ["`jitsi_unknown_key` is no variable of campus.jitsi: did you mean `jitsi_unknown_keys`?",
         "`jvb_confg` is no variable of campus.jitsi: did you mean `jvb_config`?"],
    ),
    "the type of a variable of a later play": (
        {**GOOD, "jvb_drain_timeout": "1 hour", "jitsi_secret_generations": {"xmpp/focus": "2"}}, {}, [],
        ["`jvb_drain_timeout` is no whole number but a text: write one without quotes or unit.",
         "`jitsi_secret_generations['xmpp/focus']` is '2': give a whole number from 1 up, without quotes."],
    ),
    "a firewall that is not known": (
        {**GOOD, "jitsi_firewall": "ufw", "jitsi_firewall_open": ["8443/sctp"]}, {}, [],
        ["`jitsi_firewall` is 'ufw': take one of none, nftables.",
         "`jitsi_firewall_open[0]` is '8443/sctp': its protocol is 'sctp': take tcp or udp, as in `8443/tcp`."],
    ),
    "sources and ports that are none": (
        {**GOOD, "jitsi_firewall": "nftables", "jitsi_ssh_sources": ["10.0.0.1/24"], "jitsi_monitoring_sources": ["grafana.example.edu"],
         "jitsi_firewall_open": ["99999/tcp"]}, {}, [],
        ["`jitsi_ssh_sources[0]` is '10.0.0.1/24': it names one address in a network: write `10.0.0.0/24` for all of it or `10.0.0.1` for that one.",
         "`jitsi_monitoring_sources[0]` is 'grafana.example.edu': give an address or a network such as `192.0.2.7` or `2001:db8::/32`; names are not "
         "known before the network is up.",
         "`jitsi_firewall_open[0]` is '99999/tcp': give a port from 1 to 65535, or a range such as `6000-6010`."],
    ),
    "monitoring without a firewall": (
        {**GOOD, "jitsi_monitoring_sources": ["192.0.2.7"]}, {}, ["--tags", "jvb"],
        ["`jitsi_monitoring_sources` is set and there is no firewall that would keep others out: set `jitsi_firewall: nftables` or leave "
         "`jitsi_monitoring_sources` out."],
    ),
    "a directory": (
        {**GOOD, "jitsi_auth": "ldap", "prosody_ldap_servers": ["ldap.example.edu"], "prosody_ldap_tls": "none", "prosody_ldap_base": "ou=people,dc=example",
         "prosody_ldap_user_filter": "(&(uid=$user)(ou=staff)", "prosody_ldap_group": "teachers", "prosody_ldap_bind_password": "hunter2"}, {}, [],
        ["`prosody_ldap_tls` is none, and every password would cross the network for all to read: take starttls or ldaps, or set "
         "`prosody_ldap_insecure: true` where nobody can listen.",
         "`prosody_ldap_group` is 'teachers', which is no name of an entry: write it as `cn=teachers,ou=groups,dc=example,dc=edu`.",
         "`prosody_ldap_bind_password` is set and `prosody_ldap_bind_dn` is not: set both, or none for a directory that everybody may read.",
         "`prosody_ldap_user_filter` is '(&(uid=$user)(ou=staff)': a `)` is missing at its end; write it as `(uid=$user)`."],
    ),
    "everything at once": (
        {"jitsi_domain": "Meet_1.example.edu", "jitsi_apt_repository": "https://mirror.example.edu", "jitsi_unknown_keys": "ignore",
         "jitsi_domian": 1},
        {"prosody": ["one", "two"]}, [],
        ["`jitsi_domain` has upper case letters: write `meet-1.example.edu`.",
         "`jitsi_apt_repository` is no dictionary but a text: write it as `key: value` lines below the name.",
         "`jitsi_domian` is no variable of campus.jitsi: did you mean `jitsi_domain`?",
         "`jitsi_unknown_keys` is 'ignore': take one of error, warn.",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "a web front that cannot be": (
        {**GOOD, "nginx_meet_tls_profile": "old", "nginx_meet_trusted_proxies": ["proxy.example.edu"], "nginx_meet_frame_ancestors": ["moodle.example.edu"],
         "nginx_meet_tls_routes": [{"name": EXAMPLE, "address": "127.0.0.1:5349"}, {"address": "127.0.0.1"}], "nginx_meet_behind_proxy": True}, {}, [],
        ["`nginx_meet_tls_profile` is 'old': take one of intermediate, modern.",
         "`nginx_meet_tls_routes[0].name` is `jitsi_domain`, which is the site itself: give the other server a name of its own.",
         "`nginx_meet_tls_routes[1]` has no `name`: give it the name that clients ask for.",
         "`nginx_meet_tls_routes[1].address` is '127.0.0.1': write it as host:port, such as `127.0.0.1:5349`.",
         "`nginx_meet_trusted_proxies`: 'proxy.example.edu': give an address or a network such as `192.0.2.7` or `2001:db8::/32`; names are not "
         "known before the network is up.",
         "`nginx_meet_tls_routes` needs port 443, which is a proxy's with `nginx_meet_behind_proxy`: let that proxy route by name, "
         "and leave the routes out.",
         "`nginx_meet_frame_ancestors`: 'moodle.example.edu' is no origin: write scheme and host, such as `https://moodle.example.edu`."],
    ),
    "with --tags jvb": (
        {**GOOD, "prosody_config": []}, {"prosody": ["one", "two"]}, ["--tags", "jvb"],
        ["`prosody_config` is no dictionary but a list: write it as `key: value` lines below the name.",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "with --limit": (
        {**GOOD, "jitsi_secret": {}}, {"prosody": ["one", "two"]}, ["--limit", "meet"],
        ["`jitsi_secret` is no variable of campus.jitsi: did you mean `jitsi_secrets`?",
         "`jitsi_prosody` has 2 hosts (one, two): put exactly one into `jitsi_prosody`."],
    ),
    "acme without terms, with half an external account and no root": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_eab_key_id": "kid-1", "jitsi_acme_ca_file": "/nonexistent/root.pem"}, {}, [],
        ["`jitsi_acme_terms_agreed` is not true: read the terms of service that https://acme-v02.api.letsencrypt.org/directory names, and set it to "
         "true if you agree.",
         "`jitsi_acme_eab_key_id` is set and `jitsi_acme_eab_hmac_key` is not: set both, or none.",
         "`jitsi_acme_ca_file`: /nonexistent/root.pem cannot be read (No such file or directory)."],
    ),
    "acme by port 80 with several web hosts": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_terms_agreed": True}, {"nginx_meet": ["one", "two"]}, [],
        ["`jitsi_acme_challenge: http` works with one web host, and there are 2 (one, two), any of which may get the server's question: take "
         "`jitsi_acme_challenge: dns`, or `jitsi_tls_source: files`."],
    ),
    "acme by DNS without a hook, and a warning that never ends": (
        {**GOOD, "jitsi_tls_source": "acme", "jitsi_acme_terms_agreed": True, "jitsi_acme_challenge": "dns", "jitsi_tls_warn_days": 90}, {}, [],
        ["`jitsi_tls_warn_days` is 90, and certificates of 90 days are renewed when 30 are left: take a number below that, or raise "
         "`jitsi_tls_leaf_days`.",
         "`jitsi_acme_dns_auth_hook` is not set: with `jitsi_acme_challenge: dns` give the script that publishes the record."],
    ),
    "what cannot work about TURN": (
        {**GOOD, "coturn_min_port": 9000, "coturn_max_port": 11000, "coturn_allowed_peers": ["bridge1"], "coturn_secret": "hunter2", "coturn_domain": "turn_1"},
        {}, [],
        ["`coturn_secret`: a secret must be text of at least 16 characters; give a longer one or leave it out to have it made.",
         "`coturn_min_port` to `coturn_max_port`, 9000 to 11000, has 10000 in it, the bridge's port: take a range such as 49152 to 65535.",
         "`coturn_allowed_peers` has 'bridge1': write an address, a network such as 192.0.2.0/24 or a range such as 192.0.2.1-192.0.2.9.",
         "`coturn_domain` is 'turn_1', which is no host name: write one in lower case such as `turn.meet.example.edu`."],
    ),
    "two TURN servers of one name that DNS does not know": (
        {"jitsi_domain": "meet.lab.test"}, {"coturn": ["one", "two"]}, [],
        ["`coturn_domain` is turn.meet.lab.test for one and two: give each TURN server a name of its own.",
         "`coturn_domain` of one, turn.meet.lab.test, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later.",
         "`coturn_domain` of two, turn.meet.lab.test, is not in DNS: add its address record, or set `coturn_check_name: false` when it comes later."],
    ),
    "a TURN server outside of the domain": (
        {**GOOD, "coturn_domain": "turn.example.com", "coturn_check_name": False}, {"coturn": ["one"]}, [],
        ["`coturn_domain` of one, turn.example.com, is outside of meet.example.edu, for which alone the installation's own authority can sign: take a name "
         "such as turn.meet.example.edu, or `jitsi_tls_source: files`."],
    ),
    "TURN over TLS without a certificate": (
        {**GOOD, "jitsi_tls_source": "files", "coturn_check_name": False}, {"coturn": ["one"]}, [],
        ["`jitsi_tls_certificate_file` is not set: with `jitsi_tls_source: files` give the path of the file on the controller.",
         "TURN over TLS on one: `coturn_certificate_file` is not set: with `jitsi_tls_source: files` give the path of the file on the controller."],
    ),
    "with --check": (
        {"jitsi_domain": "meet"}, {}, ["--check"],
        ["`jitsi_domain` has one part only: give the full name, such as `meet.example.edu`."],
    ),
}

#: Those that a whole run is to refuse: the first mistake that people make, all at once, and by each way to run a part of the site.
WHOLE = ["no domain", "everything at once", "monitoring without a firewall", "with --tags jvb", "with --limit", "with --check",
         "two TURN servers of one name that DNS does not know"]
