// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.InOrder;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Xml;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** One conference on the bridge and its endpoints. */
final class Conference {
    private static final SecureRandom RANDOM = new SecureRandom();
    /** A new conference may stay empty for this long. */
    private static final Duration EMPTY_GRACE = Duration.ofSeconds(20);

    /** One participant of the conference. */
    static final class Endpoint {
        final String id;
        final IceAgent ice;
        final boolean privateAddresses;
        final Instant created = Instant.now();
        String statsId;
        boolean sctp;
        Xml sources;
        boolean forceMuteAudio;
        boolean forceMuteVideo;

        Endpoint(String id, IceAgent ice, boolean privateAddresses) {
            this.id = id;
            this.ice = ice;
            this.privateAddresses = privateAddresses;
        }

        boolean sends(String type) {
            return sources != null && sources.children("media-source").stream()
                    .anyMatch(source -> type.equals(source.attr("type")) && !source.children("source").isEmpty());
        }

        boolean idle(Duration timeout, Instant now) {
            if (ice.state() == IceAgent.State.FAILED) {
                return true;
            }
            Instant last = ice.lastActivity() == null ? created : ice.lastActivity();
            return last.plus(timeout).isBefore(now);
        }
    }

    final String id = Long.toHexString(RANDOM.nextLong());
    final String meetingId;
    final String name;
    final boolean rtcstats;
    final Instant created = Instant.now();
    /** The bridge's own sources for feedback, one per medium. */
    final long audioSsrc = RANDOM.nextInt() & 0xFFFFFFFFL;
    final long videoSsrc = RANDOM.nextInt() & 0xFFFFFFFFL;
    /** colibri2 requests of one conference are handled one after the other. */
    final InOrder requests = new InOrder();
    private final Map<String, Endpoint> endpoints = new LinkedHashMap<>();

    Conference(String meetingId, String name, boolean rtcstats) {
        this.meetingId = meetingId;
        this.name = name;
        this.rtcstats = rtcstats;
    }

    synchronized void add(Endpoint endpoint) {
        endpoints.put(endpoint.id, endpoint);
    }

    synchronized Endpoint endpoint(String endpointId) {
        return endpoints.get(endpointId);
    }

    synchronized Collection<Endpoint> endpoints() {
        return new ArrayList<>(endpoints.values());
    }

    synchronized boolean remove(String endpointId) {
        Endpoint endpoint = endpoints.remove(endpointId);
        if (endpoint != null) {
            endpoint.ice.close();
        }
        return endpoint != null;
    }

    boolean mayGo(Instant now) {
        return endpoints().isEmpty() && created.plus(EMPTY_GRACE).isBefore(now);
    }

    Map<String, Object> debugState() {
        List<Object> list = new ArrayList<>();
        endpoints().forEach(endpoint -> list.add(Json.object("id", endpoint.id, "stats_id", endpoint.statsId,
                "ice", endpoint.ice.state().name(), "sctp", endpoint.sctp,
                "audio", endpoint.sends("audio"), "video", endpoint.sends("video"))));
        return Json.object("name", name, "meeting_id", meetingId, "rtcstats_enabled", rtcstats,
                "endpoint_count", list.size(), "endpoints", list);
    }
}
