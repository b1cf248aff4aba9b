# SPDX-License-Identifier: GPL-3.0-or-later
"""The module prosody_account on a host with the Prosody of the scenario, seen from outside: who can log in, and who cannot."""

from __future__ import annotations

import subprocess
import uuid

import pytest
from conftest import login_script, settled, works

HOST = "auth.meet.lab.test"
STORE = "/var/lib/prosody/auth%2emeet%2elab%2etest"


class Accounts:
    """What a test does with accounts of its own, which all have a name of theirs in common."""

    def __init__(self, site) -> None:
        self.site = site
        (self.name,) = site.hosts
        self.host = site.host(self.name)
        self.mark = f"t{uuid.uuid4().hex[:8]}"

    def jid(self, user: str) -> str:
        return f"{self.mark}-{user}@{HOST}"

    def run(self, *accounts, words=(), **arguments):
        """One call of the module. Rounds as the role has them."""
        return self.site.module(self.name, "prosody_account", {"accounts": list(accounts), "iterations": 4096, **arguments}, *words)

    def log_in(self, user: str, password: str) -> str:
        return self.site.log_in(self.host, f"{self.mark}-{user}", password)

    def stored(self) -> list[str]:
        """The store's files of this test's accounts, with their content."""
        return self.host.check_output("cd %s && find . -name '*%s*' -type f -exec sha256sum {} +", STORE, self.mark).splitlines()


@pytest.fixture
def accounts(single):
    found = Accounts(single)
    yield found
    removed = found.run(exclusive=[f"{found.mark}-*@{HOST}"])
    assert not removed["failed"], removed
    assert found.stored() == []


def password() -> str:
    return f"pw-{uuid.uuid4().hex}"


def test_an_account_from_its_making_to_its_end(accounts):
    first, second = password(), password()
    jid = accounts.jid("ada")
    wish = {"jid": jid, "password": first}

    tried = accounts.run(wish, words=["--check", "--diff"])
    assert tried["changes"] == [{"jid": jid, "change": "created"}] and accounts.stored() == []
    assert accounts.log_in("ada", first) == "not-authorized"

    made = accounts.run(wish, words=["--diff"])
    assert made["changed"] and made["changes"] == tried["changes"] and not made["restart_needed"]
    assert f"+{jid}" in made["_shown"].replace("+ ", "+")
    assert accounts.log_in("ada", first) == "success"
    assert accounts.log_in("ada", second) == "not-authorized"

    before = accounts.stored()
    again = accounts.run(wish, words=["--diff"])
    assert not again["changed"] and again["changes"] == [] and accounts.stored() == before

    other = {"jid": jid, "password": second}
    tried = accounts.run(other, words=["--check", "--diff"])
    assert tried["changes"] == [{"jid": jid, "change": "password"}] and accounts.stored() == before
    changed = accounts.run(other, words=["--diff", "-vvv"])
    assert changed["changes"] == [{"jid": jid, "change": "password"}]
    assert accounts.log_in("ada", first) == "not-authorized"
    assert accounts.log_in("ada", second) == "success"
    assert not accounts.run(other)["changed"]
    keys = accounts.host.check_output("cat %s/accounts/%s%%2dada.dat", STORE, accounts.mark)
    for result in (tried, made, again, changed):
        assert not any(word in result["_shown"] for word in (first, second)), "a password is shown"
    assert "another password" in changed["_shown"] and not any(line.split('"')[3] in changed["_shown"] for line in keys.splitlines() if "_key" in line)


def test_an_account_that_is_removed_is_thrown_out(accounts):
    word = password()
    jid = accounts.jid("ben")
    made = accounts.run({"jid": jid, "password": word}, {"jid": accounts.jid("eve"), "password": word})
    assert len(made["changes"]) == 2
    arguments = ("127.0.0.1", HOST, f"{accounts.mark}-ben", "/usr/local/share/ca-certificates/campus.jitsi.crt", "20")
    with subprocess.Popen(accounts.site.ssh(accounts.name, "python3", "-", *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as online:
        online.stdin.write(login_script(word))
        online.stdin.close()
        assert online.stdout.readline() == "success\n"
        before = accounts.stored()
        tried = accounts.run({"jid": jid, "state": "absent"}, words=["--check"])
        assert tried["changes"] == [{"jid": jid, "change": "removed"}] and accounts.stored() == before
        removed = accounts.run({"jid": jid, "state": "absent"})
        assert removed["changes"] == tried["changes"]
        assert online.stdout.readline() == "closed\n"
    assert accounts.log_in("ben", word) == "not-authorized"
    # Nobody else.
    assert accounts.log_in("eve", word) == "success"
    assert not accounts.run({"jid": jid, "state": "absent"})["changed"]


def test_odd_names(accounts):
    """Names become what Prosody makes of them (nodeprep), however they are written; XEP-0106 writes what a JID cannot hold."""
    word = password()
    users = {"ADA": "ada", "Ünï-Čode": "ünï-čode", "Straße": "strasse"}
    users |= {same: same for same in ("o\\27brien", "a\\26b\\2fc", "50%", "a.b+c")}
    wish = [{"jid": accounts.jid(user), "password": word} for user in users]
    made = accounts.run(*wish)
    assert [change["jid"] for change in made["changes"]] == [accounts.jid(user) for user in users.values()]
    assert not accounts.run(*wish)["changed"]
    for written, prepared in users.items():
        assert accounts.log_in(written, word) == "success", written
        assert accounts.log_in(prepared, word) == "success", prepared


def test_names_that_cannot_be_are_refused_all_at_once(accounts):
    """With what to write instead; and the good ones among them are not made either."""
    bad = {"with space": "U+0020", "o'brien": "U+0027", "a&b": "U+0026", "a/b": "U+002F", 'a"b': "U+0022", "a<b": "U+003C", "a:b": "U+003A"}
    wish = [{"jid": accounts.jid(user), "password": password()} for user in [*bad, "good"]]
    result = accounts.run(*wish, {"jid": accounts.jid("GOOD"), "password": password()}, {"jid": accounts.jid("none")}, {"jid": "nobody", "password": "x"})
    assert result["failed"]
    for (user, code), problem in zip(bad.items(), result["problems"]):
        escaped = accounts.mark + "-" + "".join(f"\\{ord(c):02x}" if c in "\"&'/:<>@ " else c for c in user)
        assert problem == f"account {accounts.jid(user)}: the local part of a JID cannot hold {code}: write `{escaped}@{HOST}` (XEP-0106)"
    assert result["problems"][len(bad):] == [
        f"account {accounts.jid('GOOD')} is in the list twice",
        f"account {accounts.jid('none')} needs a password to be present",
        "account nobody: 'nobody' is no bare JID: write user@host",
    ]
    assert accounts.stored() == []


def test_a_host_that_is_not_there_is_named_with_a_near_one(accounts):
    result = accounts.run({"jid": "ada@auth.meet.lab.tset", "password": password()})
    assert result["failed"] and result["msg"] == "Prosody has no VirtualHost 'auth.meet.lab.tset': did you mean `auth.meet.lab.test`?"
    # It has anonymous users only, and a component has none at all.
    result = accounts.run({"jid": "ada@meet.lab.test", "password": password()}, {"jid": "ada@focus.meet.lab.test", "password": password()})
    assert "has authentication 'jitsi-anonymous': accounts need internal_hashed" in result["problems"][0]
    assert result["problems"][1].startswith("Prosody has no VirtualHost 'focus.meet.lab.test'")


def test_a_store_that_is_damaged_is_an_error_and_stays_as_it_is(accounts):
    jid, name = accounts.jid("torn"), f"{accounts.mark}%2dtorn.dat"
    accounts.host.check_output("printf 'return { [\"salt\"] = \"x' > %s/accounts/%s", STORE, name)
    before = accounts.stored()
    result = accounts.run({"jid": jid, "password": password()}, {"jid": accounts.jid("other"), "password": password()})
    assert result["failed"] and f"{STORE}/accounts/{name} cannot be read" in result["msg"] and "restore or remove it; it was not touched" in result["msg"]
    assert accounts.stored() == before


#: Watches all processes and what is in their environment, and says which had one of two marks.
WATCH = """
import os, time
end = time.monotonic() + 60
seen = set()
while time.monotonic() < end and not os.path.exists(STOP):
    for process in filter(str.isdigit, os.listdir("/proc")):
        for what in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{what}", "rb") as handle:
                    content = handle.read()
            except OSError:
                continue
            seen.update(mark for mark in MARKS if mark.encode() in content)
    time.sleep(0.005)
os.unlink(STOP)
print(*sorted(seen))
"""


def test_500_accounts_in_one_call_and_no_password_anywhere(accounts):
    word, control = f"pw-{uuid.uuid4().hex}", f"control-{uuid.uuid4().hex}"
    wish = [{"jid": accounts.jid(f"many{number}"), "password": f"{word}-{number}"} for number in range(500)]
    stop = f"/run/{accounts.mark}"
    script = f"STOP, MARKS = {stop!r}, {[word, control]!r}\n{WATCH}"
    with subprocess.Popen(accounts.site.ssh(accounts.name, "python3", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watch:
        watch.stdin.write(script)
        watch.stdin.close()
        made = accounts.run(*wish)
        accounts.host.check_output("sh -c 'sleep 0.5; true' %s && logger %s && touch %s", control, control, stop)
        seen = watch.stdout.read().split()
    assert [change["change"] for change in made["changes"]] == ["created"] * 500
    assert len(accounts.stored()) == 500
    assert seen == [control], "a process had a password in its command line or environment"
    for number in (0, 250, 499):
        assert accounts.log_in(f"many{number}", f"{word}-{number}") == "success"
        assert accounts.log_in(f"many{number}", f"{word}-{number + 1}") == "not-authorized"
    assert not accounts.run(*wish)["changed"]
    places = accounts.host.check_output(
        "{ journalctl --quiet --no-pager --output=cat; cat /var/log/syslog /var/log/auth.log 2>/dev/null; } | grep -Eo '%s|%s' | sort -u; "
        "grep -rlE '%s' /var/log /tmp /var/tmp /root /run --exclude-dir=journal 2>/dev/null; true", word, control, word)
    assert places.splitlines() == [control], "a log or a file has a password"
    assert word not in made["_shown"]


def test_accounts_are_made_while_prosody_is_down_and_the_roster_of_focus_is_kept_and_repaired(accounts):
    """Without the roster, clients cannot ask jicofo for a conference over XMPP."""
    site, host, roster = accounts.site, accounts.host, f"{STORE}/roster/focus.dat"
    focus = {"jid": f"focus@{HOST}", "password": site.secret("xmpp/focus"), "roster": ["focus.meet.lab.test"]}
    word = password()
    kept = host.check_output("cat %s", roster)
    # An account whose roster is not asked about keeps it.
    assert not accounts.run({key: value for key, value in focus.items() if key != "roster"})["changed"]
    assert host.check_output("cat %s", roster) == kept
    # Removed in the live server: told to it.
    remove = ("local rm = require 'core.rostermanager'; local r = rm.load_roster('focus', 'auth.meet.lab.test'); "
              "r['focus.meet.lab.test'] = nil; return tostring(rm.save_roster('focus', 'auth.meet.lab.test', r))")
    assert "true" in host.check_output("prosodyctl shell %s", f"> {remove}")
    assert accounts.run(focus)["changes"] == [{"jid": f"focus@{HOST}", "change": "roster"}]
    assert not accounts.run(focus)["changed"]
    # Lost while the server is down: written to the store.
    host.check_output("systemctl stop prosody")
    try:
        host.check_output("rm %s", roster)
        made = accounts.run(focus, {"jid": accounts.jid("late"), "password": word})
        assert made["changes"] == [{"jid": f"focus@{HOST}", "change": "roster"}, {"jid": accounts.jid("late"), "change": "created"}]
        assert not accounts.run(focus)["changed"] and not made["restart_needed"]
    finally:
        host.check_output("systemctl start prosody")
    host.check_output("for n in $(seq 100); do ss --no-header -tln 'sport = :5222' | grep -q . && exit 0; sleep 0.1; done; exit 1")
    assert accounts.log_in("late", word) == "success"
    works(settled(site))


def test_the_ledger_removes_what_it_made_and_nothing_else(accounts):
    """Also when a run dies between the ledger and the store, and when the list is empty."""
    ledger = f"/var/lib/campus.jitsi/{accounts.mark}.json"
    ada, ben, eve = ({"jid": accounts.jid(user), "password": password()} for user in ("ada", "ben", "eve"))
    assert accounts.run(eve)["changed"], "made without the ledger"
    tried = accounts.run(ada, ben, ledger=ledger, words=["--check"])
    assert len(tried["changes"]) == 2 and not accounts.host.file(ledger).exists
    made = accounts.run(ada, ben, eve, ledger=ledger)
    assert [one["change"] for one in made["changes"]] == ["created", "created"]
    assert accounts.host.file(ledger).mode == 0o600 and "eve" not in accounts.host.file(ledger).content_string
    assert not accounts.run(ada, ben, eve, ledger=ledger)["changed"]
    # As after a run that died: in the ledger, and not in the store.
    accounts.run({"jid": ben["jid"], "state": "absent"})
    assert [one["change"] for one in accounts.run(ada, ben, eve, ledger=ledger)["changes"]] == ["created"]
    fewer = accounts.run(ada, ledger=ledger)
    assert fewer["changes"] == [{"jid": ben["jid"], "change": "removed"}]
    assert accounts.log_in("ben", ben["password"]) == "not-authorized" and accounts.log_in("eve", eve["password"]) == "success"
    assert accounts.run(ledger=ledger)["changes"] == [{"jid": ada["jid"], "change": "removed"}]
    assert not accounts.run(ledger=ledger)["changed"] and accounts.log_in("eve", eve["password"]) == "success"
    # What cannot be read says nothing of whose accounts there are.
    accounts.host.check_output("echo nonsense > %s", ledger)
    broken = accounts.run(ledger=ledger)
    assert broken["failed"] and ledger in broken["msg"] and accounts.log_in("eve", eve["password"]) == "success"
    accounts.host.check_output("rm %s", ledger)
