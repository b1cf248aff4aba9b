// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.XmppLink;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;

/** One conference on one bridge, driven by colibri2 conference-modify requests (jicofo's Colibri2Session.kt). */
final class ColibriSession {
    static final String NS = "jitsi:colibri2";
    static final String ICE_UDP = "urn:xmpp:jingle:transports:ice-udp:1";

    private static final Logger LOG = Logger.getLogger(ColibriSession.class.getName());

    final Bridge bridge;
    final String id = UUID.randomUUID().toString();
    private final XmppLink link;
    private final String meetingId;
    private final String conferenceName;
    private final boolean rtcstats;
    private boolean created;

    ColibriSession(Bridge bridge, XmppLink link, String meetingId, String conferenceName, boolean rtcstats) {
        this.bridge = bridge;
        this.link = link;
        this.meetingId = meetingId;
        this.conferenceName = conferenceName;
        this.rtcstats = rtcstats;
    }

    /** Thrown when no endpoint could be made; says what is to happen with the bridge. */
    static final class AllocationFailed extends Exception {
        private static final long serialVersionUID = 1;
        /** True when the conference must leave this bridge and its participants be invited again. */
        final boolean removeBridge;

        AllocationFailed(String message, boolean removeBridge) {
            super(message);
            this.removeBridge = removeBridge;
        }
    }

    /** What the bridge offers for one endpoint. */
    static final class Allocation {
        final Xml transport;
        final String sctpPort;
        final Sources feedback;

        Allocation(Xml transport, String sctpPort, Sources feedback) {
            this.transport = transport;
            this.sctpPort = sctpPort;
            this.feedback = feedback;
        }
    }

    private Xml request() {
        return Xml.of("conference-modify", NS).attr("meeting-id", meetingId);
    }

    private Xml endpoint(Xml request, Peer peer) {
        return request.child("endpoint").attr("id", peer.id);
    }

    /** A request for an endpoint that is on its way. */
    final class Request {
        private final String endpoint;
        private final boolean sctp;
        private final XmppLink.Question question;

        Request(String endpoint, boolean sctp, XmppLink.Question question) {
            this.endpoint = endpoint;
            this.sctp = sctp;
            this.question = question;
        }

        /** Blocks for the answer. */
        Allocation await() throws AllocationFailed {
            return read(this, check(question.answer()));
        }
    }

    /**
     * Asks for an endpoint, and for the conference with the first one. Requests are sent in the order of the calls:
     * the bridge knows the conference before it is asked for the second endpoint.
     */
    Request allocate(Peer peer, List<Xml> contents, boolean privateAddresses, boolean ssrcRewriting,
            boolean midDemux) {
        Xml request = request();
        boolean first = !created;
        created = true;
        if (first) {
            request.attr("name", conferenceName).attr("create", "true");
            if (!rtcstats) {
                request.attr("rtcstats-enabled", "false");
            }
        }
        Xml endpoint = endpoint(request, peer).attr("create", "true").attr("stats-id", peer.member.statsId());
        endpoint.child("capability").attr("name", "source-names");
        if (privateAddresses) {
            endpoint.child("capability").attr("name", "private-address-connectivity");
        }
        if (ssrcRewriting) {
            endpoint.child("capability").attr("name", "ssrc-rewriting");
        }
        if (midDemux) {
            endpoint.child("capability").attr("name", "rtp-mid-demux");
        }
        endpoint.addAll(Offer.media(contents));
        endpoint.add(peer.sources.toColibri(peer.id));
        // The bridge is the controlling side, as the client is told by being the responder.
        Xml transport = endpoint.child("transport").attr("ice-controlling", "true");
        boolean sctp = contents.stream().anyMatch(content -> content.attr("name").equals("data"));
        if (sctp) {
            transport.child("sctp");
        }
        return new Request(peer.id, sctp, link.submit(XmlIq.set(bridge.jid, request)));
    }

    private Allocation read(Request request, Xml answer) throws AllocationFailed {
        Sources feedback = Sources.fromBridge(answer.first("sources"));
        for (Xml candidate : answer.children("endpoint")) {
            Xml offered = candidate.first("transport");
            if (request.endpoint.equals(candidate.attr("id")) && offered != null) {
                Xml ice = offered.first("transport", ICE_UDP);
                Xml port = offered.first("sctp");
                if (ice == null || request.sctp && (port == null || port.attr("port") == null)) {
                    break;
                }
                return new Allocation(ice, port == null ? null : port.attr("port"), feedback);
            }
        }
        throw new AllocationFailed("failed to parse transport", false);
    }

    private Xml check(IQ answer) throws AllocationFailed {
        if (answer == null) {
            bridge.setOperational(false);
            throw new AllocationFailed("Timeout", true);
        }
        if (answer.getError() != null) {
            LOG.info("Received error response: " + answer.getError());
            Xml detail = Xml.of(answer.getError().getExtension("error", NS));
            String reason = detail == null ? null : detail.attr("reason");
            switch (answer.getError().getCondition()) {
                case bad_request:
                    throw new AllocationFailed("Bad request: " + answer.getError(), false);
                case item_not_found:
                    throw new AllocationFailed(String.valueOf(answer.getError()),
                            "conference_not_found".equals(reason));
                case conflict:
                    throw new AllocationFailed("Colibri error: " + answer.getError(), true);
                case service_unavailable:
                    if ("graceful_shutdown".equals(reason)) {
                        bridge.setGracefulShutdown();
                        throw new AllocationFailed("Bridge in graceful shutdown", true);
                    }
                    bridge.setOperational(false);
                    throw new AllocationFailed("Bridge failed with service_unavailable.", true);
                default:
                    bridge.setOperational(false);
                    throw new AllocationFailed("Error: " + answer.getError(), true);
            }
        }
        if (!(answer instanceof XmlIq) || !answer.getChildElementName().equals("conference-modified")) {
            bridge.setOperational(false);
            throw new AllocationFailed("Response of wrong type: " + answer.toXML(), false);
        }
        return ((XmlIq) answer).payload();
    }

    /** Passes on what a client answered: its transport, its sources or both. */
    void update(Peer peer, Xml transport, boolean sources, Xml initialLastN) {
        Xml request = request();
        Xml endpoint = endpoint(request, peer).attr("stats-id", peer.member.statsId());
        if (transport != null) {
            endpoint.child("transport").add(transport.copy());
        }
        if (sources) {
            endpoint.add(peer.sources.toColibri(peer.id));
        }
        endpoint.add(initialLastN);
        sendAndReport(request, "update", answer -> { });
    }

    /** Asks for an ICE restart in place; the answer carries the new transport, or none when it is refused. */
    void restartIce(Peer peer, Consumer<Xml> answerTransport) {
        Xml request = request();
        endpoint(request, peer).child("transport").attr("ice-restart", "true");
        sendAndReport(request, "restartIce", answer -> {
            Xml found = null;
            for (Xml endpoint : answer.children("endpoint")) {
                if (peer.id.equals(endpoint.attr("id")) && endpoint.first("transport") != null) {
                    found = endpoint.first("transport").first("transport", ICE_UDP);
                }
            }
            answerTransport.accept(found);
        });
    }

    void expire(Collection<Peer> peers) {
        Xml request = request();
        peers.forEach(peer -> endpoint(request, peer).attr("expire", "true"));
        sendAndReport(request, "expire endpoints", answer -> { });
    }

    void expireAll() {
        sendAndReport(request().attr("expire", "true"), "expire", answer -> { });
    }

    private void sendAndReport(Xml request, String what, Consumer<Xml> onSuccess) {
        XmppLink.Question question = link.submit(XmlIq.set(bridge.jid, request));
        Periodic.io(() -> {
            IQ answer = question.answer();
            if (answer instanceof XmlIq && answer.getError() == null) {
                onSuccess.accept(((XmlIq) answer).payload());
            } else {
                LOG.warning("colibri2 " + what + " on " + bridge.jid + ": "
                        + (answer == null ? "timeout" : String.valueOf(answer.getError())));
            }
        });
    }
}
