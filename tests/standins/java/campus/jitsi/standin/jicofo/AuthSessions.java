// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.Jid;

/**
 * Who may open meetings when {@code jicofo.authentication} is on: users of one XMPP domain, remembered by a session id
 * (jicofo's XMPPDomainAuthAuthority and ExternalJWTAuthority).
 */
final class AuthSessions {
    private static final Logger LOG = Logger.getLogger(AuthSessions.class.getName());

    private static final class Session {
        final String id = UUID.randomUUID().toString();
        final String machine;
        final String identity;
        final EntityBareJid room;
        Jid user;
        Instant used = Instant.now();

        Session(String machine, String identity, EntityBareJid room) {
            this.machine = machine;
            this.identity = identity;
            this.room = room;
        }
    }

    private final JicofoConfig config;
    private final boolean external;
    private final boolean autoLogin;
    private final Duration lifetime;
    private final Map<String, Session> sessions = new ConcurrentHashMap<>();

    AuthSessions(JicofoConfig config) {
        this.config = config;
        this.external = config.authType == JicofoConfig.AuthType.JWT;
        this.autoLogin = !external && config.autoLogin;
        this.lifetime = external ? Duration.ofMinutes(1) : config.authLifetime;
        LOG.info("Starting authentication service for " + config.authDomain + ", type " + config.authType);
        Periodic.every(Duration.ofSeconds(10), Duration.ofSeconds(10), () -> sessions.values().removeIf(
                session -> Duration.between(session.used, Instant.now()).compareTo(lifetime) > 0));
    }

    boolean external() {
        return external;
    }

    boolean authenticated(Jid user) {
        return user != null && sessions.values().stream().anyMatch(session -> user.equals(session.user));
    }

    /** Fills identity and session id into the answer, or returns the error to send instead. */
    synchronized IQ process(XmlIq request, EntityBareJid room, Jid from, Xml answer) {
        Xml query = request.payload();
        String id = query.attr("session-id");
        String machine = query.attr("machine-uid");
        Session session = id == null ? null : sessions.get(id);
        if (id != null && !id.isBlank()) {
            if (session == null) {
                return XmlIq.error(request, Condition.not_acceptable, "invalid session",
                        Xml.of("session-invalid", Jingle.FOCUS_NS));
            }
            if (!session.machine.equals(machine)) {
                return XmlIq.error(request, Condition.not_acceptable, "machine UID mismatch or empty");
            }
        }
        if (session == null && from != null && from.asDomainBareJid().equals(config.authDomain)) {
            if (machine == null || machine.isBlank()) {
                return XmlIq.error(request, Condition.not_acceptable,
                        "Missing mandatory attribute 'machine-uid'");
            }
            session = new Session(machine, from.asBareJid().toString(), room);
            sessions.put(session.id, session);
            LOG.info("Authentication session created for " + session.identity);
        }
        if (session != null) {
            session.user = from;
            session.used = Instant.now();
            answer.attr("identity", session.identity).attr("session-id", session.id);
        }
        return null;
    }

    void ended(EntityBareJid room) {
        if (!autoLogin) {
            sessions.values().removeIf(session -> room.equals(session.room));
        }
    }

    IQ logout(XmlIq request) {
        String id = request.payload().attr("session-id");
        if (id == null || sessions.remove(id) == null) {
            return XmlIq.error(request, Condition.not_acceptable, "invalid session",
                    Xml.of("session-invalid", Jingle.FOCUS_NS));
        }
        return XmlIq.result(request, Xml.of("logout", Jingle.FOCUS_NS));
    }

    IQ loginUrl(XmlIq request) {
        String room = String.valueOf(request.payload().attr("room"));
        Xml answer = Xml.of("login-url", Jingle.FOCUS_NS).attr("room", room);
        if (!external) {
            answer.attr("url", java.net.URLEncoder.encode(
                    "./" + room.replaceFirst("@.*", "") + "?login=true", java.nio.charset.StandardCharsets.UTF_8));
        }
        return XmlIq.result(request, answer);
    }
}
