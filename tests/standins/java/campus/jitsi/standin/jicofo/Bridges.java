// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.InOrder;
import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledFuture;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.parts.Resourcepart;

/**
 * The bridges: found in the brewery room, checked for health, chosen by load (jicofo's BridgeMucDetector, JvbDoctor
 * and BridgeSelector).
 */
final class Bridges implements XmppLink.Listener {
    static final String HEALTH_NS = "http://jitsi.org/protocol/healthcheck";

    private static final Logger LOG = Logger.getLogger(Bridges.class.getName());

    /** Told when bridges come and go; called on a thread that may block. */
    interface Listener {
        void bridgeAdded(Bridge bridge);

        /** The bridge is gone or broken: whatever runs on it must move. */
        void bridgeDown(Bridge bridge, String reason);
    }

    private final JicofoConfig config;
    private final XmppLink link;
    private final Map<EntityFullJid, Bridge> bridges = new ConcurrentHashMap<>();
    private final Map<Bridge, ScheduledFuture<?>> checks = new ConcurrentHashMap<>();
    private final List<Listener> listeners = new CopyOnWriteArrayList<>();
    private final InOrder events = new InOrder();
    private MucRoom room;
    private int lost;

    Bridges(JicofoConfig config, XmppLink link) {
        this.config = config;
        this.link = link;
    }

    void start() {
        if (config.brewery == null) {
            LOG.severe("No bridge detector configured.");
            return;
        }
        LOG.info("Initialized with JID=" + config.brewery);
        link.addListener(this);
    }

    void stop() {
        leave();
    }

    void addListener(Listener listener) {
        listeners.add(listener);
    }

    void removeListener(Listener listener) {
        listeners.remove(listener);
    }

    @Override
    public void authenticated(boolean resumed) {
        if (!resumed || room == null) {
            leave();
            join();
        }
    }

    private synchronized void join() {
        try {
            room = new MucRoom(link, config.brewery, Resourcepart.from(config.client.username));
            room.listen(presence -> events.add(() -> seen(presence)));
            room.join();
            room.configure();
            LOG.info("Joined the room.");
        } catch (Exception e) {
            LOG.log(Level.SEVERE, "Failed to create room.", e);
            leave();
            Periodic.after(link.settings().replyTimeout, () -> {
                if (room == null && link.loggedIn()) {
                    join();
                }
            });
        }
    }

    private synchronized void leave() {
        if (room != null) {
            room.leave();
            room = null;
        }
        new ArrayList<>(bridges.keySet()).forEach(this::remove);
    }

    private void seen(Presence presence) {
        EntityFullJid jid = presence.getFrom() == null ? null : presence.getFrom().asEntityFullJidIfPossible();
        if (jid == null || presence.getError() != null) {
            return;
        }
        if (presence.getType() == Presence.Type.unavailable) {
            remove(jid);
            return;
        }
        Xml stats = Xml.of(presence.getExtension("stats", Bridge.STATS_NS));
        if (stats == null) {
            return; // another focus, or a bridge that has not spoken yet
        }
        Bridge known = bridges.get(jid);
        if (known == null) {
            Bridge bridge = new Bridge(jid, config);
            bridge.update(stats);
            bridges.put(jid, bridge);
            LOG.info("Added new videobridge: " + bridge);
            watch(bridge);
            listeners.forEach(listener -> listener.bridgeAdded(bridge));
            return;
        }
        boolean before = known.shuttingDown();
        known.update(stats);
        if (!before && known.shuttingDown()) {
            LOG.info(jid + " entered SHUTTING_DOWN");
            listeners.forEach(listener -> listener.bridgeDown(known, "is shutting down"));
        }
    }

    private void remove(EntityFullJid jid) {
        Bridge bridge = bridges.remove(jid);
        if (bridge == null) {
            return;
        }
        LOG.info("Removing JVB: " + jid);
        if (!bridge.inGracefulShutdown() && !bridge.shuttingDown()) {
            LOG.warning("Lost a bridge: " + jid);
            lost++;
        }
        ScheduledFuture<?> check = checks.remove(bridge);
        if (check != null) {
            check.cancel(false);
        }
        listeners.forEach(listener -> listener.bridgeDown(bridge, "was removed"));
    }

    private void watch(Bridge bridge) {
        if (config.bridgeHealthChecks) {
            checks.put(bridge, Periodic.every(config.bridgeHealthInterval, config.bridgeHealthInterval,
                    () -> Periodic.io(() -> check(bridge))));
        }
    }

    private void check(Bridge bridge) {
        if (!link.loggedIn() || !checks.containsKey(bridge)) {
            return;
        }
        if (config.bridgeHealthByPresence) {
            if (bridge.presenceAge().compareTo(config.bridgePresenceTimeout) > 0) {
                LOG.warning("Health check timed out for: " + bridge);
                bridge.setOperational(false);
            } else if (!bridge.healthy()) {
                failed(bridge, "reported unhealthy");
            } else {
                bridge.setOperational(true);
            }
            return;
        }
        IQ answer = link.ask(XmlIq.get(bridge.jid, Xml.of("healthcheck", HEALTH_NS)));
        if (answer == null) {
            pause(config.bridgeHealthRetry);
            answer = link.ask(XmlIq.get(bridge.jid, Xml.of("healthcheck", HEALTH_NS)));
        }
        if (!checks.containsKey(bridge)) {
            return;
        }
        if (answer == null) {
            LOG.warning("Health check timed out for: " + bridge);
            bridge.setOperational(false);
        } else if (answer.getType() == IQ.Type.result) {
            bridge.setOperational(true);
        } else if (answer.getError().getCondition() == Condition.internal_server_error
                || answer.getError().getCondition() == Condition.service_unavailable) {
            failed(bridge, answer.getError().toString());
        } else {
            LOG.severe("Unexpected error returned by the bridge: " + bridge + ", err: " + answer.getError());
        }
    }

    private void failed(Bridge bridge, String why) {
        LOG.warning("Health check failed for: " + bridge + ": " + why);
        bridge.setOperational(false);
        listeners.forEach(listener -> listener.bridgeDown(bridge, "failed health check"));
    }

    private static void pause(Duration pause) {
        try {
            Thread.sleep(pause.toMillis());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /**
     * A bridge for a new conference: operational, not shutting down, preferably not draining, then the least loaded;
     * the local region first when one is configured.
     *
     * @param version when not null, only bridges of this version count
     */
    Bridge select(String version) {
        List<Bridge> candidates = new ArrayList<>(bridges.values());
        candidates.removeIf(bridge -> !bridge.operational());
        if (candidates.isEmpty()) {
            LOG.warning("There are no operational bridges.");
            return null;
        }
        candidates.removeIf(Bridge::shuttingDown);
        if (candidates.isEmpty()) {
            LOG.warning("All operational bridges are SHUTTING_DOWN");
            return null;
        }
        if (version != null && !config.mixedVersions) {
            candidates.removeIf(bridge -> !version.equals(bridge.fullVersion()));
            if (candidates.isEmpty()) {
                LOG.warning("There are no bridges with the required version: " + version);
                return null;
            }
        }
        prefer(candidates, bridge -> !bridge.draining());
        prefer(candidates, bridge -> !bridge.inGracefulShutdown());
        if (config.localRegion != null) {
            prefer(candidates, bridge -> config.localRegion.equals(bridge.region()));
        }
        Bridge selected = Collections.min(candidates);
        LOG.info("Selected initial bridge " + selected);
        return selected;
    }

    private static void prefer(List<Bridge> candidates, java.util.function.Predicate<Bridge> wish) {
        if (candidates.stream().anyMatch(wish)) {
            candidates.removeIf(wish.negate());
        }
    }

    Collection<Bridge> all() {
        return bridges.values();
    }

    int count() {
        return bridges.size();
    }

    long operationalCount() {
        return bridges.values().stream().filter(b -> b.operational() && !b.inGracefulShutdown()).count();
    }

    long shutdownCount() {
        return bridges.values().stream().filter(Bridge::inGracefulShutdown).count();
    }

    int lostCount() {
        return lost;
    }

    int versionCount() {
        Set<String> versions = new HashSet<>();
        bridges.values().forEach(bridge -> versions.add(String.valueOf(bridge.fullVersion())));
        return versions.size();
    }
}
