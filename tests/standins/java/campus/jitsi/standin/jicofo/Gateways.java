// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.parts.Resourcepart;

/** Finds gateways to telephones in their brewery, and hands requests to dial to the least loaded (jicofo's JigasiDetector, JigasiIqHandler). */
final class Gateways implements XmppLink.Listener {
    static final String RAYO = "urn:xmpp:rayo:1";

    private static final Logger LOG = Logger.getLogger(Gateways.class.getName());
    private static final int TRIES = 3;

    private final EntityBareJid brewery;
    private final XmppLink link;
    private final Resourcepart nick;
    private final Map<EntityFullJid, Map<String, String>> gateways = new ConcurrentHashMap<>();
    private MucRoom room;

    Gateways(EntityBareJid brewery, XmppLink link, Resourcepart nick) {
        this.brewery = brewery;
        this.link = link;
        this.nick = nick;
    }

    void start() {
        link.addListener(this);
    }

    @Override
    public synchronized void authenticated(boolean resumed) {
        if (resumed && room != null) {
            return;
        }
        gateways.clear();
        try {
            room = new MucRoom(link, brewery, nick);
            room.listen(this::seen);
            room.join();
            room.configure();
            LOG.info("Joined " + brewery);
        } catch (Exception e) {
            LOG.log(Level.SEVERE, "Failed to join " + brewery, e);
            room = null;
            Periodic.after(link.settings().replyTimeout, () -> Periodic.io(() -> {
                if (room == null && link.loggedIn()) {
                    authenticated(false);
                }
            }));
        }
    }

    private void seen(Presence presence) {
        EntityFullJid jid = presence.getFrom() == null ? null : presence.getFrom().asEntityFullJidIfPossible();
        if (jid == null || presence.getError() != null) {
            return;
        }
        if (presence.getType() == Presence.Type.unavailable) {
            if (gateways.remove(jid) != null) {
                LOG.info("Removed instance: " + jid);
            }
            return;
        }
        Xml stats = Xml.of(presence.getExtension("stats", Bridge.STATS_NS));
        if (stats == null) {
            return;
        }
        Map<String, String> values = new HashMap<>();
        stats.children("stat").forEach(stat -> values.put(stat.attr("name"), stat.attr("value")));
        if (gateways.put(jid, values) == null) {
            LOG.info("Added instance: " + jid);
        }
    }

    int count() {
        return (int) gateways.values().stream().filter(values -> "true".equals(values.get("supports_sip"))).count();
    }

    private EntityFullJid select(Set<EntityFullJid> exclude) {
        EntityFullJid best = null;
        int least = Integer.MAX_VALUE;
        for (Map.Entry<EntityFullJid, Map<String, String>> entry : gateways.entrySet()) {
            Map<String, String> values = entry.getValue();
            if (exclude.contains(entry.getKey()) || "true".equals(values.get("shutdown_in_progress")) || !"true".equals(values.get("supports_sip"))) {
                continue;
            }
            int load = Integer.parseInt(values.getOrDefault("participants", "0"));
            if (load < least) {
                least = load;
                best = entry.getKey();
            }
        }
        return best;
    }

    /** Tries up to three gateways; null when none took it. */
    IQ dial(XmlIq request) {
        Set<EntityFullJid> tried = new HashSet<>();
        while (tried.size() < TRIES) {
            EntityFullJid gateway = select(tried);
            if (gateway == null) {
                LOG.warning("Request failed, no instances available");
                return XmlIq.error(request, Condition.service_unavailable, null);
            }
            LOG.info("Selected " + gateway + " (request from " + request.getFrom() + ")");
            tried.add(gateway);
            IQ answer = link.ask(XmlIq.set(gateway, request.payload().copy()));
            if (answer != null && answer.getType() == IQ.Type.result) {
                return XmlIq.result(request, ((XmlIq) answer).payload());
            }
            LOG.warning("Jigasi instance " + gateway + (answer == null ? " timed out" : " returned " + answer.getError()));
        }
        return XmlIq.error(request, Condition.undefined_condition, null);
    }
}
