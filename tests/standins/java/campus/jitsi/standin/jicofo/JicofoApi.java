// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.HealthCheck;
import campus.jitsi.standin.common.HttpApi;
import campus.jitsi.standin.common.HttpApi.Request;
import campus.jitsi.standin.common.HttpApi.Response;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Metrics;
import campus.jitsi.standin.common.Version;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.stringprep.XmppStringprepException;

/** The HTTP endpoints of jicofo on {@code jicofo.rest} (jicofo's ktor/Application.kt). */
final class JicofoApi {
    private static final Logger LOG = Logger.getLogger(JicofoApi.class.getName());

    private final Focus focus;
    private final HealthCheck health;
    private final Metrics metrics;

    /** @param health null when health checks are off: the real program then has no such endpoint */
    JicofoApi(Focus focus, HealthCheck health) {
        this.focus = focus;
        this.health = health;
        Bridges bridges = focus.bridges();
        metrics = new Metrics("jitsi_jicofo_")
                .gauge("bridge_selector_bridge_count", "The current number of bridges", bridges::count)
                .gauge("bridge_selector_bridge_count_operational", "The current number of operational bridges",
                        bridges::operationalCount)
                .gauge("bridge_selector_bridge_count_in_shutdown",
                        "The current number of bridges in graceful shutdown", bridges::shutdownCount)
                .counter("bridge_selector_lost_bridges", "Number of bridges which disconnected unexpectedly.",
                        bridges::lostCount)
                .gauge("conferences", "Running count of conferences", () -> focus.meetings().size())
                .counter("conferences_created", "Number of conferences created", focus.conferencesCreated::get)
                .counter("conference_requests", "Number of conference requests received.", focus.requests::get)
                .counter("participants", "Number of participants", focus.participants::get)
                .counter("participants_ice_failed", "Participants that reported an ICE failure",
                        focus.iceFailed::get)
                .gauge("threads", "Current JVM thread count.", Thread::activeCount)
                .gauge("standin", Version.NOTICE, () -> 1);
    }

    void addTo(HttpApi http) {
        Conf conf = focus.config().conf;
        http.route("GET", "/about/version", request -> Response.json(
                Json.object("name", "JiCoFo", "version", focus.version(), "os", System.getProperty("os.name"),
                        "standin", Version.NOTICE)));
        http.route("GET", "/stats", request -> Response.json(stats()));
        http.route("GET", "/rtcstats", request -> Response.json(Json.object()));
        if (health != null) {
            http.route("GET", "/about/health", request -> {
                HealthCheck.Result result = health.result();
                return Response.text(result.httpStatus(), result.success ? "OK" : result.message);
            });
        }
        if (conf.flag("jicofo.rest.prometheus.enabled")) {
            http.route("GET", "/metrics", metrics::answer);
        }
        if (conf.flag("jicofo.rest.conference-request.enabled")) {
            http.route("OPTIONS", "/conference-request/v1", request -> Response.text(200, ""));
            http.route("POST", "/conference-request/v1", this::conferenceRequest);
        }
        if (conf.flag("jicofo.rest.pin.enabled")) {
            // Nothing can be pinned to a bridge version here.
            http.route("GET", "/pin", request -> Response.json(List.of()));
        }
        if (conf.flag("jicofo.rest.debug.enabled")) {
            http.route("GET", "/debug/?", request -> Response.json(debug(request.query.contains("full=true"))));
            http.route("GET", "/debug/conferences", request -> {
                List<String> names = new ArrayList<>();
                focus.meetings().forEach(meeting -> names.add(meeting.room().toString()));
                return Response.json(names);
            });
            http.route("GET", "/debug/conferences-full", request -> Response.json(conferences(true)));
            http.route("GET", "/debug/conference/(.+)", request -> {
                Meeting meeting = focus.meeting(JidCreate.entityBareFrom(request.groups.get(0)));
                return Response.json(meeting == null ? Json.object() : meeting.debug());
            });
        }
    }

    /** The same as the XMPP request, as JSON; a bad room name or body is 400, a refusal 403. */
    private Response conferenceRequest(Request request) {
        if (request.contentType == null || !request.contentType.startsWith(HttpApi.JSON)) {
            return Response.text(400, "Bad request: JSON is expected");
        }
        Map<String, Object> body;
        try {
            body = Json.parseObject(request.body);
        } catch (IllegalArgumentException e) {
            return Response.text(400, "Bad request: " + e.getMessage());
        }
        Xml query = Xml.of("conference", Jingle.FOCUS_NS).attr("room", body.get("room"))
                .attr("machine-uid", body.get("machineUid")).attr("session-id", body.get("sessionId"));
        if (body.get("properties") instanceof Map) {
            ((Map<?, ?>) body.get("properties")).forEach((name, value) ->
                    query.child("property").attr("name", name).attr("value", value));
        }
        XmlIq iq = XmlIq.set(null, query);
        IQ answer;
        try {
            answer = focus.conference(iq, null);
        } catch (RuntimeException e) {
            LOG.log(Level.SEVERE, e.getMessage(), e);
            return Response.text(400, "Bad request: " + e.getMessage());
        }
        if (answer.getError() != null) {
            Condition condition = answer.getError().getCondition();
            return condition == Condition.not_authorized ? Response.text(403, "Error")
                    : Response.text(400, "Bad request: " + (condition == Condition.not_acceptable
                            ? "invalid-session" : answer.getError().toString()));
        }
        Xml conference = ((XmlIq) answer).payload();
        Map<String, Object> properties = new LinkedHashMap<>();
        conference.children("property").forEach(p -> properties.put(p.attr("name"), p.attr("value")));
        Map<String, Object> json = Json.object("room", conference.attr("room"), "ready", conference.flag("ready"),
                "focusJid", conference.attr("focusjid"));
        if (conference.attr("session-id") != null) {
            json.put("sessionId", conference.attr("session-id"));
        }
        if (conference.attr("identity") != null) {
            json.put("identity", conference.attr("identity"));
        }
        json.put("properties", properties);
        return Response.json(json);
    }

    private Map<String, Object> stats() {
        int largest = 0;
        int people = 0;
        for (Meeting meeting : focus.meetings()) {
            int size = Math.max(1, meeting.size());
            largest = Math.max(largest, size);
            people += size;
        }
        Bridges bridges = focus.bridges();
        Map<String, Object> stats = Json.object(
                "total_participants", focus.participants.get(),
                "total_conferences_created", focus.conferencesCreated.get(),
                "conferences", focus.meetings().size(),
                "conferences_with_visitors", 0,
                "bridge_failures", Json.object("participants_moved", 0, "bridges_removed", 0),
                "participant_notifications", Json.object("ice_failed", focus.iceFailed.get(),
                        "request_restart", focus.restarts.get()),
                "largest_conference", largest,
                "participants", people,
                "visitors", 0,
                "bridge_selector", Json.object("bridge_count", bridges.count(),
                        "operational_bridge_count", bridges.operationalCount(),
                        "in_shutdown_bridge_count", bridges.shutdownCount(),
                        "lost_bridges", bridges.lostCount(), "bridge_version_count", bridges.versionCount()),
                "threads", Thread.activeCount(),
                "version", focus.version(),
                "standin", Version.NOTICE);
        if (health != null) {
            HealthCheck.Result result = health.result();
            stats.put("healthy", result.success);
            stats.put("health", Json.object("success", result.success, "hardFailure", result.hard,
                    "message", result.message));
        }
        return stats;
    }

    private Map<String, Object> conferences(boolean full) {
        Map<String, Object> all = new LinkedHashMap<>();
        focus.meetings().forEach(meeting ->
                all.put(meeting.room().toString(), full ? meeting.debug() : (Object) meeting.size()));
        return all;
    }

    private Map<String, Object> debug(boolean full) {
        Map<String, Object> known = new LinkedHashMap<>();
        focus.bridges().all().forEach(bridge -> known.put(bridge.jid.toString(), bridge.debug()));
        return Json.object("focus_manager", conferences(full),
                "bridge_selector", Json.object("strategy", focus.config().strategy, "bridge", known),
                "jibri_detector", focus.recorders().debug(), "jingle_sessions", focus.jingle().count(), "standin", Version.NOTICE);
    }
}
