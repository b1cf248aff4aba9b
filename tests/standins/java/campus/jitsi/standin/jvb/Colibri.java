// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import java.security.SecureRandom;
import java.util.List;
import java.util.Set;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.stringprep.XmppStringprepException;

/** Answers colibri2 conference-modify requests (namespace jitsi:colibri2, Colibri2ConferenceHandler upstream). */
final class Colibri {
    static final String NS = "jitsi:colibri2";

    private static final Logger LOG = Logger.getLogger(Colibri.class.getName());
    private static final String DTLS = "urn:xmpp:jingle:apps:dtls:0";
    private static final int SCTP_PORT = 5000;

    /** A request that cannot be done. */
    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;
        final transient Condition condition;
        /** Machine-readable reason of this protocol, or null. */
        final String reason;
        final String endpoint;

        Refused(Condition condition, String reason, String endpoint, String message) {
            super(message);
            this.condition = condition;
            this.reason = reason;
            this.endpoint = endpoint;
        }

        static Refused badRequest(String message) {
            return new Refused(Condition.bad_request, null, null, message);
        }

        static Refused unsupported(String message) {
            return new Refused(Condition.feature_not_implemented, "feature_not_implemented", null, message);
        }
    }

    private final Videobridge bridge;
    private final Conf conf;
    private final BridgeIce ice;
    /** No DTLS is spoken; a random but stable fingerprint has the form of a real one. */
    private final String fingerprint;

    Colibri(Videobridge bridge, Conf conf, BridgeIce ice) {
        this.bridge = bridge;
        this.conf = conf;
        this.ice = ice;
        byte[] hash = new byte[32];
        new SecureRandom().nextBytes(hash);
        StringBuilder hex = new StringBuilder();
        for (byte b : hash) {
            hex.append(hex.length() == 0 ? "" : ":").append(String.format("%02X", b));
        }
        this.fingerprint = hex.toString();
    }

    /** Answers through the callback, in the order of the requests of one conference. */
    void handle(XmlIq request, java.util.function.Consumer<IQ> answer) {
        Xml modify = request.payload();
        Conference conference;
        try {
            conference = find(modify);
        } catch (Refused refused) {
            answer.accept(error(request, refused));
            return;
        }
        conference.requests.add(() -> {
            IQ response;
            try {
                response = XmlIq.result(request, apply(conference, modify));
            } catch (Refused refused) {
                response = error(request, refused);
            } catch (RuntimeException e) {
                LOG.log(java.util.logging.Level.WARNING, "colibri2 request failed", e);
                response = XmlIq.error(request, Condition.internal_server_error, e.getMessage());
            }
            answer.accept(response);
        });
    }

    private static IQ error(XmlIq request, Refused refused) {
        LOG.warning("colibri2 request refused: " + refused.getMessage());
        Xml detail = null;
        if (refused.reason != null) {
            detail = Xml.of("error", NS).attr("reason", refused.reason);
            if (refused.endpoint != null) {
                detail.child("endpoint").attr("id", refused.endpoint);
            }
        }
        return detail == null ? XmlIq.error(request, refused.condition, refused.getMessage())
                : XmlIq.error(request, refused.condition, refused.getMessage(), detail);
    }

    private Conference find(Xml modify) throws Refused {
        String meetingId = modify.attr("meeting-id");
        if (meetingId == null) {
            throw Refused.badRequest("Missing meeting-id");
        }
        synchronized (bridge) {
            Conference conference = bridge.conference(meetingId);
            if (!modify.flag("create")) {
                if (conference == null) {
                    throw new Refused(Condition.item_not_found, "conference_not_found", null,
                            "Conference not found for ID: " + meetingId);
                }
                return conference;
            }
            if (conference != null) {
                throw new Refused(Condition.conflict, "conference_already_exists", null,
                        "Conference already exists for ID: " + meetingId);
            }
            if (bridge.shutdown().isGraceful()) {
                throw new Refused(Condition.service_unavailable, "graceful_shutdown", null,
                        "In graceful shutdown");
            }
            String name = modify.attr("name");
            if (name != null) {
                try {
                    JidCreate.entityBareFrom(name);
                } catch (XmppStringprepException e) {
                    throw Refused.badRequest("Invalid conference name (not a JID)");
                }
            }
            boolean rtcstats = !"false".equals(modify.attr("rtcstats-enabled"));
            return bridge.createConference(meetingId, name, rtcstats);
        }
    }

    private static final Set<String> CHANGES = Set.of("media", "transport", "sources");

    private static boolean changes(Xml endpoint) {
        return endpoint.flag("create")
                || endpoint.children().stream().anyMatch(child -> CHANGES.contains(child.getElementName()));
    }

    private Xml apply(Conference conference, Xml modify) throws Refused {
        List<Xml> endpoints = modify.children("endpoint");
        List<Xml> relays = modify.children("relay");
        long changed = endpoints.stream().filter(Colibri::changes).count();
        if (changed > 1 || changed > 0 && !relays.isEmpty()) {
            throw Refused.unsupported("Creating or updating more than one endpoint at a time is not supported.");
        }
        // Late requests for endpoints that are gone are fine when they only expire or mute.
        boolean tolerant = endpoints.stream().noneMatch(Colibri::changes);
        Xml modified = Xml.of("conference-modified", NS);
        boolean created = modify.flag("create");
        for (Xml endpoint : endpoints) {
            created |= endpoint.flag("create");
            modified.add(applyEndpoint(conference, endpoint, tolerant));
        }
        if (!relays.isEmpty()) {
            throw Refused.unsupported(bridge.relayEnabled()
                    ? "This stand-in has no relays." : "Octo is disabled in configuration.");
        }
        if (created) {
            modified.add(feedbackSources(conference));
        }
        if (modify.flag("expire") || !modify.flag("create") && conference.endpoints().isEmpty()) {
            LOG.info("Expiring conference " + conference.meetingId);
            bridge.expire(conference);
        }
        return modified;
    }

    private static Xml feedbackSources(Conference conference) {
        Xml sources = Xml.of("sources", NS);
        sources.child("media-source").attr("type", "audio").attr("id", "jvb-a0")
                .child("source", "urn:xmpp:jingle:apps:rtp:ssma:0")
                .attr("ssrc", conference.audioSsrc).attr("name", "jvb-a0");
        sources.child("media-source").attr("type", "video").attr("id", "jvb-v0")
                .child("source", "urn:xmpp:jingle:apps:rtp:ssma:0")
                .attr("ssrc", conference.videoSsrc).attr("name", "jvb-v0");
        return sources;
    }

    private static boolean can(Xml endpoint, String capability) {
        return endpoint.children("capability").stream()
                .anyMatch(child -> capability.equals(child.attr("name")));
    }

    private Xml applyEndpoint(Conference conference, Xml request, boolean tolerant) throws Refused {
        String id = request.attr("id");
        Xml response = Xml.of("endpoint", NS).attr("id", id);
        if (request.flag("expire")) {
            bridge.expire(conference, id);
            return response.attr("expire", "true");
        }
        Conference.Endpoint endpoint = request.flag("create")
                ? create(conference, request) : conference.endpoint(id);
        if (endpoint == null) {
            if (tolerant) {
                return response;
            }
            throw new Refused(Condition.item_not_found, "unknown_endpoint", id, "Unknown endpoint " + id);
        }
        Xml transport = request.first("transport");
        Xml remote = transport == null ? null : transport.first("transport", IceAgent.NS);
        if (remote != null) {
            endpoint.ice.remote(remote);
        }
        if (request.first("sources") != null) {
            endpoint.sources = request.first("sources").copy();
        }
        Xml forceMute = request.first("force-mute");
        if (forceMute != null) {
            endpoint.forceMuteAudio = forceMute.flag("audio");
            endpoint.forceMuteVideo = forceMute.flag("video");
        }
        // Restarting ICE in place is not done here. Answering with the transport as it is tells the client to keep
        // it, which is what the real bridge does before the connection stands; no transport means: invite anew.
        boolean keep = transport != null && transport.flag("ice-restart")
                && endpoint.ice.state() != IceAgent.State.CONNECTED
                && conf.flag("videobridge.ice.restart.enabled");
        if (request.flag("create") || keep) {
            Xml offered = response.child("transport");
            Xml local = endpoint.ice.describe(endpoint.privateAddresses);
            local.child("fingerprint", DTLS).attr("hash", conf.string("jmt.dtls.local-fingerprint-hash-function"))
                    .attr("setup", "actpass").attr("required", false).attr("cryptex", false).text(fingerprint);
            offered.add(local);
            if (transport.first("sctp") != null) {
                offered.child("sctp").attr("port", SCTP_PORT).attr("role", "server");
            }
        }
        return response;
    }

    private Conference.Endpoint create(Conference conference, Xml request) throws Refused {
        String id = request.attr("id");
        if (conference.endpoint(id) != null) {
            throw new Refused(Condition.conflict, null, null, "Endpoint with ID " + id + " already exists");
        }
        Xml transport = request.first("transport");
        if (transport == null) {
            throw Refused.badRequest("Attempt to create endpoint " + id + " with no <transport>");
        }
        if (!can(request, "source-names")) {
            throw Refused.badRequest("Source name support is mandatory.");
        }
        Xml sctp = transport.first("sctp");
        if (sctp != null) {
            if (!conf.flag("videobridge.sctp.enabled")) {
                throw Refused.unsupported("SCTP support is not configured");
            }
            if (sctp.attr("role") != null && !sctp.attr("role").equals("server")) {
                throw Refused.unsupported("Unsupported SCTP role: " + sctp.attr("role"));
            }
            if (sctp.attr("port") != null && !sctp.attr("port").equals(String.valueOf(SCTP_PORT))) {
                throw Refused.badRequest("Specific SCTP port requested, not supported.");
            }
        }
        Conference.Endpoint endpoint = new Conference.Endpoint(id,
                new IceAgent(ice, transport.flag("ice-controlling")),
                can(request, "private-address-connectivity"));
        endpoint.statsId = request.attr("stats-id");
        endpoint.sctp = sctp != null;
        conference.add(endpoint);
        bridge.endpointCreated();
        LOG.info("Created endpoint " + id + " in " + conference.meetingId);
        return endpoint;
    }
}
