// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Xml;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import org.jxmpp.jid.EntityFullJid;

/** One videobridge as its presence in the brewery room describes it (jicofo's Bridge.kt). */
final class Bridge implements Comparable<Bridge> {
    static final String STATS_NS = "http://jitsi.org/protocol/colibri";

    final EntityFullJid jid;
    private final JicofoConfig config;
    private final Deque<Instant> recentEndpoints = new ArrayDeque<>();
    private double stress;
    private double participantStress;
    private boolean draining = true; // until the bridge says otherwise
    private boolean gracefulShutdown;
    private boolean shuttingDown;
    private boolean healthy = true;
    private boolean operational = true;
    private Instant failedAt;
    private Instant lastPresence = Instant.EPOCH;
    private String version;
    private String release;
    private String region;
    private String relayId;
    private int endpoints;

    Bridge(EntityFullJid jid, JicofoConfig config) {
        this.jid = jid;
        this.config = config;
        this.participantStress = config.bridgeParticipantStress;
    }

    /** Takes over what the {@code <stats>} extension says; what it leaves out stays as it was. */
    synchronized void update(Xml stats) {
        lastPresence = Instant.now();
        Map<String, String> values = new HashMap<>();
        stats.children("stat").forEach(stat -> values.put(stat.attr("name"), stat.attr("value")));
        stress = number(values.get("stress_level"), stress);
        participantStress = number(values.get("average_participant_stress"), participantStress);
        gracefulShutdown |= Boolean.parseBoolean(values.get("graceful_shutdown"));
        shuttingDown |= Boolean.parseBoolean(values.get("shutting_down"));
        draining = values.containsKey("drain") ? Boolean.parseBoolean(values.get("drain")) : draining;
        healthy = values.containsKey("healthy") ? Boolean.parseBoolean(values.get("healthy")) : healthy;
        version = values.getOrDefault("version", version);
        release = values.getOrDefault("release", release);
        region = values.getOrDefault("region", region);
        relayId = values.getOrDefault("relay_id", relayId);
    }

    private static double number(String value, double fallback) {
        try {
            return value == null ? fallback : Double.parseDouble(value);
        } catch (NumberFormatException e) {
            return fallback;
        }
    }

    /** False for a while after a failure, even when the bridge answers again. */
    synchronized boolean operational() {
        if (failedAt != null && Duration.between(failedAt, Instant.now()).compareTo(config.bridgeFailureReset) < 0) {
            return false;
        }
        return operational;
    }

    synchronized void setOperational(boolean value) {
        operational = value;
        if (!value) {
            failedAt = Instant.now();
        }
    }

    synchronized void endpointAdded() {
        endpoints++;
        recentEndpoints.add(Instant.now());
    }

    synchronized void endpointsRemoved(int count) {
        endpoints = Math.max(0, endpoints - count);
    }

    /** Reported stress plus what recently added endpoints will bring. */
    synchronized double correctedStress() {
        Instant limit = Instant.now().minus(config.bridgeRampup);
        while (!recentEndpoints.isEmpty() && recentEndpoints.peek().isBefore(limit)) {
            recentEndpoints.poll();
        }
        return stress + recentEndpoints.size() * participantStress;
    }

    synchronized boolean draining() {
        return draining;
    }

    synchronized boolean inGracefulShutdown() {
        return gracefulShutdown;
    }

    synchronized void setGracefulShutdown() {
        gracefulShutdown = true;
    }

    synchronized boolean shuttingDown() {
        return shuttingDown;
    }

    synchronized boolean healthy() {
        return healthy;
    }

    synchronized String region() {
        return region;
    }

    synchronized String fullVersion() {
        return version != null && release != null ? version + "-" + release : version;
    }

    synchronized Duration presenceAge() {
        return Duration.between(lastPresence, Instant.now());
    }

    private int rank() {
        return !operational() ? 3 : inGracefulShutdown() ? 2 : 1;
    }

    @Override
    public int compareTo(Bridge other) {
        int byRank = Integer.compare(rank(), other.rank());
        return byRank != 0 ? byRank : Double.compare(correctedStress(), other.correctedStress());
    }

    synchronized Map<String, Object> debug() {
        return Json.object("corrected-stress", correctedStress(), "drain", draining, "endpoints", endpoints,
                "graceful-shutdown", gracefulShutdown, "healthy", healthy, "operational", operational(),
                "overloaded", correctedStress() >= config.bridgeStressThreshold, "region", String.valueOf(region),
                "relay-id", String.valueOf(relayId), "release", String.valueOf(release),
                "shutting-down", shuttingDown, "stress", stress, "version", String.valueOf(version));
    }

    @Override
    public String toString() {
        return String.format("Bridge[jid=%s, version=%s, relayId=%s, region=%s, correctedStress=%.2f]",
                jid, fullVersion(), relayId, region, correctedStress());
    }
}
