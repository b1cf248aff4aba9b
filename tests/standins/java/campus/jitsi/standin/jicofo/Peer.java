// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Xml;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;
import org.jxmpp.jid.EntityFullJid;

/** A room member that was invited: its place on the bridge and its Jingle session. */
final class Peer {
    /** Where the Jingle session stands. */
    enum State { NONE, PENDING, ACTIVE, ENDED }

    final Member member;
    final EntityFullJid jid;
    /** Endpoint id on the bridge: the nick. */
    final String id;
    final Set<String> features;
    /** What this peer sends. */
    final Sources sources = new Sources();
    /** Owners' sources that this peer has been told of or will be told when its session is active. */
    final java.util.Map<String, Sources> queued = new java.util.LinkedHashMap<>();

    String sid;
    State state = State.NONE;
    boolean onBridge;
    /** Raised to make a running invitation stop. */
    int invitation;
    private final Deque<Instant> restarts = new ArrayDeque<>();

    Peer(Member member, Set<String> features) {
        this.member = member;
        this.jid = member.jid;
        this.id = member.jid.getResourcepart().toString();
        this.features = features;
    }

    boolean takesJsonSources(JicofoConfig config) {
        return config.jsonSources() && features.contains(Features.JSON_SOURCES);
    }

    boolean ssrcRewriting(JicofoConfig config) {
        return config.ssrcRewriting() && features.contains(Features.SSRC_REWRITING);
    }

    boolean midDemux(JicofoConfig config) {
        return config.midDemux() && ssrcRewriting(config) && features.contains(Features.MID_DEMUX)
                && config.conf.flag("jicofo.codec.rtp-extensions.mid.enabled");
    }

    /** Rate limit for sessions that the client wants anew. */
    synchronized boolean mayRestart(JicofoConfig config) {
        Instant now = Instant.now();
        while (!restarts.isEmpty() && restarts.peek().isBefore(now.minus(config.restartInterval()))) {
            restarts.poll();
        }
        boolean tooSoon = !restarts.isEmpty()
                && Duration.between(restarts.peekLast(), now).compareTo(config.restartMinInterval()) < 0;
        if (tooSoon || restarts.size() >= config.restartMax()) {
            return false;
        }
        restarts.add(now);
        return true;
    }

    /** The Jingle element of a request of ours in this peer's session. */
    Xml jingle(String action) {
        return Xml.of("jingle", Jingle.NS).attr("action", action).attr("sid", sid);
    }
}
