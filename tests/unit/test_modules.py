# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of the modules, without a host."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import socket
import threading

import pytest
from ansible_collections.campus.jitsi.plugins.filter.render import sensitive_values
from ansible_collections.campus.jitsi.plugins.module_utils import _logs, _sockets
from ansible_collections.campus.jitsi.plugins.modules import config_file, packages, preflight, service

ACTIVE = {"ActiveState": "active"}
#: The form of a key file, with the kind of key to fill in; written so that nobody takes it for one.
PEM = "-----BEGIN {}PRIVATE" + " KEY-----\nhush-hush\n-----END {}PRIVATE" + " KEY-----\n"


@pytest.mark.parametrize(
    ("state", "times", "expected"),
    [
        ({"ActiveState": "inactive"}, {}, "started"),
        ({"ActiveState": "failed"}, {"changed": 9}, "started"),
        ({"ActiveState": ""}, {}, "started"),
        (ACTIVE, {"started": 5, "reloaded": 5, "changed": 4, "soft": 4}, "none"),
        (ACTIVE, {"started": 5, "reloaded": 5, "changed": 6}, "restarted"),
        (ACTIVE, {"started": 5, "reloaded": 5, "soft": 6}, "reloaded"),
        (ACTIVE, {"started": 5, "reloaded": 7, "soft": 6}, "none"),
        (ACTIVE, {"started": 5, "reloaded": 5, "changed": 6, "soft": 6}, "restarted"),
        (ACTIVE, {"started": 5, "reloaded": 5, "pending": True}, "restarted"),
        (ACTIVE, {"started": 5, "reloaded": 5, "pending_reload": True}, "reloaded"),
        ({"ActiveState": "reloading"}, {"started": 5, "reloaded": 5}, "none"),
    ],
)
def test_what_a_service_needs(state, times, expected):
    arguments = {"started": 1, "changed": 0, "reloaded": 1, "soft": 0, "pending": False, "pending_reload": False, **times}
    assert service.decide(state=state, **arguments) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mon 2026-11-23 10:00:00.250000 UTC", 1795428000.25),
        ("Mon 2026-11-23 10:00:00 UTC", 1795428000.0),
        ("n/a", 0.0),
        ("", 0.0),
    ],
)
def test_timestamps_of_systemd(text, expected):
    assert service.parse_timestamp(text) == expected


def test_the_newest_file(tmp_path):
    for name, when in (("a", 100), ("b", 300), ("c", 200)):
        (tmp_path / name).write_text("")
        __import__("os").utime(tmp_path / name, (when, when))
    paths = [str(tmp_path / name) for name in ("a", "b", "c", "missing")]
    assert service.newest(paths, "st_mtime") == (300, str(tmp_path / "b"))
    assert service.newest([], "st_mtime") == (0.0, "")


def test_redaction_also_of_what_a_language_escaped():
    secret = 'a"b\\c'
    for rendered in ('password = "a\\"b\\\\c"', json.dumps({"p": secret}), "plain a\"b\\c"):
        assert "a\"b" not in config_file.redact(rendered, [secret]) and 'a\\"b' not in config_file.redact(rendered, [secret])
    assert config_file.redact("nothing", [""]) == "nothing"
    assert config_file.redact("abcabcd", ["abc", "abcd"]) == "****************"


@pytest.mark.parametrize(
    "text",
    ['password = "hush-hush"', '"password" = "hush-hush"', 'PASSWORD: "hush-hush"', 'app_secret = "hush-hush";', '["token"] = "hush-hush"',
     '"apiKey": "hush-hush"', 'external_service_secret = "hu\\"sh-hush"', PEM.format("", ""), PEM.format("EC ", "EC ")],
)
def test_a_secret_that_was_there_before_is_not_shown(text):
    shown = config_file.redact(text, [])
    assert "hush" not in shown and "another" in shown
    assert config_file.redact(text.replace("hush-hush", "********"), []).count("********") == ("PRIVATE" not in text and '\\"' not in text)


def test_what_is_no_secret_is_shown():
    text = 'username = "focus"\npassword_policy = "strict"\ntokens = 5\nhost = "a"\n'
    assert config_file.redact(text, []) == text


def test_what_is_secret_in_settings():
    settings = {
        "jicofo": {"xmpp": {"client": {"password": "one", "hostname": "h"}}},
        "configs": {"a": {"PASSWORD": "two"}},
        "external_service_secret": "three",
        "list": [{"app_secret": "four"}, {"token": {"nested": ["five"]}}],
        "passwords_are": "not this",
        "secret": "one",
        "password": "",
        "api_key": 7,
    }
    assert sensitive_values(settings) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize(
    ("names", "versions", "installed", "expected"),
    [
        (["a"], {}, {}, ["a"]),
        (["a"], {}, {"a": "1"}, []),
        (["a", "b"], {"a": "2"}, {}, ["a=2", "b"]),
        (["a"], {"a": "2"}, {"a": "2"}, []),
        (["a"], {"a": "1"}, {"a": "2"}, ["a=1"]),
        (["a"], {"b": "1"}, {"a": "2", "b": "2"}, []),
    ],
)
def test_which_packages_to_install(names, versions, installed, expected):
    assert packages.wanted(names, versions, installed) == expected


def test_the_source_and_preferences():
    text = packages.render_source(uri="https://a/", suite="stable/", components=[], keyring="/k.asc", origin="")
    assert text == "Types: deb\nURIs: https://a/\nSuites: stable/\nSigned-By: /k.asc\n"
    assert "Components: main contrib\n" in packages.render_source(
        uri="x", suite="s", components=["main", "contrib"], keyring="/k", origin="https://k")
    assert packages.render_preferences({"b": "1", "a": "2"}).startswith("Package: a\nPin: version 2\nPin-Priority: 1001\n\nPackage: b\n")
    assert packages.render_preferences({}) == ""


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx", "asc"),
        (b"\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx", "asc"),
        (b"\x99\x01\x0d\x04", "gpg"), (b"\x98\x33\x04", "gpg"), (b"\xc6\x33\x04", "gpg"),
    ],
)
def test_the_form_of_a_key(key, suffix):
    assert packages.key_suffix(key) == suffix


@pytest.mark.parametrize("key", [b"", b"<html>", b"-----BEGIN PGP PRIVATE KEY BLOCK-----", b"\x95\x01"])
def test_what_is_no_key(key):
    with pytest.raises(ValueError, match="no OpenPGP public key"):
        packages.key_suffix(key)


TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 20 4 30 10 -1
"""


def test_who_listens():
    everything = _sockets.sockets(TCP, "tcp")
    assert [(one.inode, one.address, one.port) for one in _sockets.listening(everything)] == [("111", "0.0.0.0", 443)]
    assert _sockets.sockets("", "tcp") == []


@pytest.mark.parametrize(
    ("roles", "listening", "said"),
    [
        (["nginx_meet"], {("tcp", 443): "/usr/sbin/apache2 -k start"}, ["port 443/tcp is held by `apache2`"]),
        (["nginx_meet"], {("tcp", 443): "/usr/sbin/apache2 -k", ("tcp", 80): "/usr/sbin/apache2 -k"}, ["`apache2`, and nginx_meet needs it"]),
        (["nginx_meet"], {("tcp", 443): "nginx: master process /usr/sbin/nginx"}, []),
        (["jvb"], {("tcp", 443): "/usr/sbin/apache2"}, []),
        (["jvb"], {("udp", 10000): "/usr/bin/other"}, ["port 10000/udp is held by `other`"]),
        (["jvb"], {("tcp", 8080): "java -cp /usr/share/jitsi-videobridge/x"}, []),
        (["jvb"], {("tcp", 8080): "java -jar tomcat.jar"}, ["port 8080/tcp is held by `java`"]),
    ],
)
def test_ports_in_the_way(roles, listening, said):
    problems = preflight.port_problems("host", roles, listening)
    assert len(problems) == len(said)
    assert all(part in problem for part, problem in zip(said, problems))


def test_where_an_archive_lists_its_packages():
    assert preflight.index_urls("https://a/", "stable/", [], "amd64") == ["https://a/stable/Packages"]
    assert preflight.index_urls("https://a", "s", ["main"], "arm64") == [
        "https://a/dists/s/main/binary-arm64/Packages", "https://a/dists/s/main/binary-all/Packages"]


def test_what_an_archive_lists():
    text = "Package: a\nVersion: 1\nDescription: x\n Version: 9\n\nPackage: b\nVersion: 2\n\nbroken\n"
    assert preflight.parse_packages(text) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 5811 (apt-get)", True),
        ("E: Unable to lock directory /var/lib/apt/lists/", True),
        ("dpkg: error: dpkg frontend lock was locked by another process with pid 5811", True),
        ("dpkg: error: dpkg database lock was locked by /usr/bin/dpkg process with pid 5817", True),
        ('debconf: DbDriver "config": /var/cache/debconf/config.dat is locked by another process: Resource temporarily unavailable', True),
        ("E: Unable to locate package jicofo", False),
        ("E: Unmet dependencies. Try 'apt --fix-broken install'", False),
    ],
)
def test_what_says_that_another_apt_is_at_work(text, expected):
    """As the tools of Debian 12 and 13 said it."""
    assert packages.locked(text) == expected


def test_who_is_too_busy_to_say_has_users_and_who_does_not_listen_has_none(monkeypatch):
    monkeypatch.setattr(service, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        url = f"http://127.0.0.1:{busy.getsockname()[1]}/metrics"
        with pytest.raises(service.Silent, match="does not answer http://127.0.0.1:"):
            service.gauge(url, "users")
    assert service.gauge(url, "users") is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("# TYPE users gauge\nusers 2.0\nusers_total 9\n", 2.0),
        ('users{region="a"} 1e1\n', 10.0),
        ("users_total 9\n", "has no users at"),
        (None, "with HTTP 500"),
    ],
)
def test_how_many_use_a_service(body, expected):
    """A bridge answers with an error when the request has no Accept header; that must not count as nobody."""

    class Bridge(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if body and self.headers.get("Accept") else 500)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_words):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Bridge) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
        if isinstance(expected, float):
            assert service.gauge(url, "users") == expected
        else:
            with pytest.raises(service.Silent, match=expected):
                service.gauge(url, "users")
    assert service.gauge(url, "users") is None


def test_which_logs_are_too_old(tmp_path):
    """By whom ever they were put aside; not the log itself, nor what only starts alike."""
    log, now = tmp_path / "a.log", 1_800_000_000
    for name, days in (("a.log", 99), ("a.log.1", 5.9), ("a.log.2.gz", 6), ("a.log-20260101.gz", 7), ("aa.log.1", 99), ("a.logs", 99)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (now, now - days * 86400))
    (tmp_path / "a.log.link").symlink_to("aa.log.1")
    assert [os.path.basename(path) for path in _logs.too_old(str(log), 7, now)] == ["a.log-20260101.gz", "a.log.2.gz"]


def test_a_log_is_put_aside_and_no_link_followed(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("what was\n")
    log.chmod(0o644)
    number = log.stat().st_ino
    aside = _logs.put_aside(str(log), "now")
    assert gzip.open(aside, "rt").read() == "what was\n" and os.stat(aside).st_mode & 0o777 == 0o640
    assert log.read_text() == "" and log.stat().st_ino == number
    with pytest.raises(FileExistsError):
        _logs.put_aside(str(log), "now")
    (tmp_path / "link.log").symlink_to(log)
    with pytest.raises(OSError, match="symbolic links"):
        _logs.put_aside(str(tmp_path / "link.log"), "later")


def test_as_whom_a_log_is_kept(tmp_path):
    """As root only in a folder where nobody else writes."""
    log = tmp_path / "a.log"
    assert _logs.acting(str(log)) is None
    log.write_text("")
    mine = (os.getuid(), os.getgid())
    tmp_path.chmod(0o777)
    assert _logs.acting(str(log)) == (None if os.getuid() == 0 else mine)
    tmp_path.chmod(0o755)
    assert _logs.acting(str(log)) == ((0, 0) if os.getuid() == 0 else mine)
