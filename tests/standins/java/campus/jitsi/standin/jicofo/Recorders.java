// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.InOrder;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledFuture;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.Jid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;

/**
 * The recorders in their brewery, and who records which meeting (jicofo's JibriDetector, JibriRecorder and JibriSession).
 */
final class Recorders implements XmppLink.Listener {
    static final String NS = "http://jitsi.org/protocol/jibri";
    private static final Logger LOG = Logger.getLogger(Recorders.class.getName());
    private static final Duration FAILURE_TIMEOUT = Duration.ofMinutes(1);

    /** One recorder as its presence shows it. */
    private static final class Instance {
        boolean idle;
        boolean healthy;
        Instant failed = Instant.EPOCH;
        Instant selected = Instant.EPOCH;

        boolean available() {
            return idle && healthy;
        }
    }

    /** One recording or stream of a meeting. */
    private final class Session {
        final Meeting meeting;
        final String id = UUID.randomUUID().toString();
        final String mode;
        final Xml asked;
        final Jid initiator;
        EntityFullJid jibri;
        int retries;
        ScheduledFuture<?> pending;

        Session(Meeting meeting, Xml asked, Jid initiator) {
            this.meeting = meeting;
            this.asked = asked;
            this.initiator = initiator;
            this.mode = asked.attr("recording_mode");
        }

        /** Asks recorders until one takes it; false when none does. */
        boolean start() {
            while (true) {
                EntityFullJid chosen = select();
                if (chosen == null) {
                    return false;
                }
                jibri = chosen;
                LOG.info("Starting session with Jibri " + chosen);
                Xml start = Xml.of("jibri", NS).attr("action", "start").attr("recording_mode", mode).attr("room", meeting.room())
                        .attr("session_id", id).attr("streamid", asked.attr("streamid"))
                        .attr("youtube_broadcast_id", asked.attr("youtube_broadcast_id")).attr("app_data", asked.attr("app_data"));
                IQ answer = link.ask(XmlIq.set(chosen, start));
                if (answer instanceof XmlIq && "pending".equals(((XmlIq) answer).payload().attr("status"))) {
                    pending = Periodic.after(timeout(), () -> Periodic.io(() -> update(chosen, "off", "error", true)));
                    return true;
                }
                failed(chosen);
                if (++retries > config.conf.integer("jicofo.jibri.num-retries")) {
                    return false;
                }
            }
        }

        void update(EntityFullJid from, String status, String failure, boolean retry) {
            if (!from.equals(jibri) || sessions.get(meeting.room()) != this) {
                return;
            }
            pending.cancel(false);
            LOG.info("Got Jibri status update: " + from + " has status " + status + " and failure reason " + failure);
            if (failure != null && retry) {
                failed(from);
                if (++retries <= config.conf.integer("jicofo.jibri.num-retries") && start()) {
                    LOG.info("Successfully resumed session with another Jibri");
                    return;
                }
            }
            publish(status, failure, "on".equals(status) ? initiator : null);
            if ("off".equals(status)) {
                sessions.remove(meeting.room(), this);
            }
        }

        void stop(Jid by) {
            sessions.remove(meeting.room(), this);
            pending.cancel(false);
            link.send(XmlIq.set(jibri, Xml.of("jibri", NS).attr("action", "stop").attr("session_id", id)));
            publish("off", null, by);
        }

        void publish(String status, String failure, Jid by) {
            meeting.show(Xml.of("jibri-recording-status", NS).attr("status", status).attr("recording_mode", mode)
                    .attr("session_id", id).attr("failure_reason", failure).attr("initiator", by));
        }
    }

    private final Focus focus;
    private final JicofoConfig config;
    private final XmppLink link;
    private final EntityBareJid brewery;
    private final Map<EntityFullJid, Instance> instances = new ConcurrentHashMap<>();
    private final Map<EntityBareJid, Session> sessions = new ConcurrentHashMap<>();
    private final InOrder events = new InOrder();
    private MucRoom room;

    Recorders(Focus focus, JicofoConfig config, XmppLink link) {
        this.focus = focus;
        this.config = config;
        this.link = link;
        String jid = config.conf.legacy("org.jitsi.jicofo.jibri.BREWERY") != null
                ? config.conf.legacy("org.jitsi.jicofo.jibri.BREWERY") : config.conf.optString("jicofo.jibri.brewery-jid");
        this.brewery = jid == null ? null : JidCreate.entityBareFromOrThrowUnchecked(jid);
    }

    void start() {
        if (brewery != null) {
            link.addListener(this);
        }
    }

    private Duration timeout() {
        return config.conf.duration("jicofo.jibri.pending-timeout");
    }

    @Override
    public void authenticated(boolean resumed) {
        if (resumed && room != null) {
            return;
        }
        try {
            if (room != null) {
                room.leave();
                instances.clear();
            }
            room = new MucRoom(link, brewery, Resourcepart.from(config.client.username));
            room.listen(presence -> events.add(() -> seen(presence)));
            room.join();
            room.configure();
            LOG.info("Joined " + brewery);
        } catch (Exception e) {
            LOG.log(Level.SEVERE, "Failed to create room " + brewery, e);
            room = null;
        }
    }

    private void seen(Presence presence) {
        EntityFullJid jid = presence.getFrom() == null ? null : presence.getFrom().asEntityFullJidIfPossible();
        if (jid == null || presence.getError() != null) {
            return;
        }
        if (presence.getType() == Presence.Type.unavailable) {
            if (instances.remove(jid) != null) {
                LOG.info("Removing instance " + jid);
                Periodic.io(() -> sessions.values().forEach(session -> session.update(jid, "off", "error", true)));
            }
            return;
        }
        Xml status = Xml.of(presence.getExtension("jibri-status", NS));
        if (status == null) {
            return;
        }
        Instance instance = instances.computeIfAbsent(jid, key -> new Instance());
        Xml busy = status.first("busy-status");
        Xml health = status.first("health-status");
        instance.idle = busy != null && "idle".equals(busy.attr("status"));
        instance.healthy = health != null && "healthy".equals(health.attr("status"));
        if (instance.available()) {
            instance.failed = Instant.EPOCH;
        }
        LOG.info(jid + " is " + (instance.available() ? "available" : "not available"));
    }

    private synchronized EntityFullJid select() {
        Instant now = Instant.now();
        Optional<Map.Entry<EntityFullJid, Instance>> oldest = instances.entrySet().stream()
                .filter(entry -> entry.getValue().available())
                .filter(entry -> Duration.between(entry.getValue().selected, now).toMillis() >= 200)
                .min(Comparator.comparing(entry -> entry.getValue().failed));
        if (oldest.isEmpty() || Duration.between(oldest.get().getValue().failed, now).compareTo(FAILURE_TIMEOUT) < 0) {
            return null;
        }
        oldest.get().getValue().selected = now;
        return oldest.get().getKey();
    }

    private void failed(EntityFullJid jid) {
        Instance instance = instances.get(jid);
        if (instance != null) {
            instance.failed = Instant.now();
        }
    }

    /** A request of somebody in a meeting, or what a recorder tells of itself. */
    void handle(XmlIq request) {
        EntityFullJid from = request.getFrom() == null ? null : request.getFrom().asEntityFullJidIfPossible();
        Xml asked = request.payload();
        if (from != null && from.asEntityBareJid().equals(brewery)) {
            link.send(IQ.createResultIQ(request));
            sessions.values().forEach(session -> session.update(from, asked.attr("status"), asked.attr("failure_reason"),
                    asked.flag("should_retry")));
            return;
        }
        Meeting meeting = from == null ? null : focus.meeting(from.asEntityBareJid());
        if (meeting == null || brewery == null) {
            LOG.warning("Jibri IQ not accepted by any conference" + (brewery == null ? ", no jibri detectors configured" : ""));
            link.send(XmlIq.error(request, Condition.item_not_found, null));
            return;
        }
        link.send(asked(request, asked, meeting, from));
    }

    private IQ asked(XmlIq request, Xml asked, Meeting meeting, EntityFullJid from) {
        if (config.conf.flag("jicofo.conference.enable-moderator-checks") && !meeting.moderates(from)) {
            LOG.warning("Ignored Jibri request from non-moderator.");
            return XmlIq.error(request, Condition.not_allowed, null);
        }
        Session session = sessions.get(meeting.room());
        if ("stop".equals(asked.attr("action"))) {
            if (session == null) {
                return XmlIq.error(request, Condition.item_not_found, "Unknown session");
            }
            session.stop(from);
            return IQ.createResultIQ(request);
        }
        if (!"start".equals(asked.attr("action"))) {
            return XmlIq.error(request, Condition.bad_request, "undefined action");
        }
        if (session != null) {
            return XmlIq.error(request, Condition.unexpected_request, "Recording or live streaming is already enabled");
        }
        boolean file = "file".equals(asked.attr("recording_mode"));
        boolean stream = asked.attr("streamid") != null && !asked.attr("streamid").isBlank();
        if (file == stream) {
            return XmlIq.error(request, Condition.bad_request, file ? "Stream ID is provided for a FILE recording."
                    : "Stream ID is empty or undefined");
        }
        Session fresh = new Session(meeting, asked, from);
        if (!fresh.start()) {
            LOG.info("Failed to start a Jibri session, " + (instances.isEmpty() ? "no Jibris available" : "all Jibris were busy"));
            return instances.isEmpty() ? XmlIq.error(request, Condition.service_unavailable, "no Jibris available")
                    : XmlIq.error(request, Condition.resource_constraint, "all Jibris are busy");
        }
        sessions.put(meeting.room(), fresh);
        fresh.publish("pending", null, null);
        return XmlIq.result(request, Xml.of("jibri", NS).attr("status", "pending").attr("session_id", fresh.id));
    }

    void ended(Meeting meeting) {
        Session session = sessions.get(meeting.room());
        if (session != null) {
            session.stop(null);
        }
    }

    Map<String, Object> debug() {
        Map<String, Object> shown = new LinkedHashMap<>();
        instances.forEach((jid, instance) -> shown.put(jid.getResourcepart().toString(), Json.object(
                "health_status", instance.healthy ? "HEALTHY" : "UNHEALTHY", "busy_status", instance.idle ? "IDLE" : "BUSY",
                "reports_available", instance.available())));
        return shown;
    }
}
