// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.HealthCheck;
import campus.jitsi.standin.common.HealthCheck.Result;
import campus.jitsi.standin.common.HttpApi;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jivesoftware.smack.provider.ProviderManager;
import org.jivesoftware.smackx.caps.EntityCapsManager;
import org.jivesoftware.smackx.disco.ServiceDiscoveryManager;
import org.jivesoftware.smackx.disco.packet.DiscoverInfo;
import org.jivesoftware.smackx.ping.packet.Ping;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.Jid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.stringprep.XmppStringprepException;

/** Keeps the meetings, answers conference requests over XMPP and HTTP, and owns all connections. */
final class Focus implements XmppLink.Listener {
    private static final Logger LOG = Logger.getLogger(Focus.class.getName());
    private static final String[] MUTE = {"http://jitsi.org/jitmeet/audio", "http://jitsi.org/jitmeet/video",
        "http://jitsi.org/jitmeet/desktop"};

    private final JicofoConfig config;
    private final String version;
    private final XmppLink client;
    private final XmppLink service;
    private final Bridges bridges;
    private final Gateways gateways;
    private final Recorders recorders;
    private final Jingle jingle = new Jingle();
    private final AuthSessions auth;
    private final Map<EntityBareJid, Meeting> meetings = new ConcurrentHashMap<>();
    private final HttpApi http = new HttpApi();
    private volatile String breakoutDomain;
    private HealthCheck health;

    final AtomicInteger conferencesCreated = new AtomicInteger();
    final AtomicInteger participants = new AtomicInteger();
    final AtomicInteger iceFailed = new AtomicInteger();
    final AtomicInteger restarts = new AtomicInteger();
    final AtomicInteger requests = new AtomicInteger();

    Focus(JicofoConfig config, String version) {
        this.config = config;
        this.version = version;
        EntityCapsManager.setDefaultEntityNode("http://jitsi.org/jicofo");
        Xml.IqPayloadProvider payload = new Xml.IqPayloadProvider();
        for (String[] element : new String[][] {{"conference", Jingle.FOCUS_NS}, {"login-url", Jingle.FOCUS_NS},
                {"logout", Jingle.FOCUS_NS}, {"jingle", Jingle.NS}, {"conference-modified", ColibriSession.NS},
                {"mute", MUTE[0]}, {"mute", MUTE[1]}, {"mute", MUTE[2]},
                // Nobody serves this one here, and Smack then says so; one that it cannot parse breaks its stream.
                {"jibri", "http://jitsi.org/protocol/jibri"}, {"dial", Gateways.RAYO}, {"ref", Gateways.RAYO}}) {
            ProviderManager.addIQProvider(element[0], element[1], payload);
        }
        ProviderManager.addExtensionProvider("stats", Bridge.STATS_NS, new Xml.Provider());
        ProviderManager.addExtensionProvider("jibri-status", Recorders.NS, new Xml.Provider());
        client = link(config.client);
        service = config.service == null ? client : link(config.service);
        LOG.info(config.service == null
                ? "No dedicated Service XMPP connection configured, re-using the client XMPP connection."
                : "Using a dedicated Service XMPP connection.");
        bridges = new Bridges(config, config.breweryOnService ? service : client);
        gateways = config.gateways == null ? null
                : new Gateways(config.gateways, client, org.jxmpp.jid.parts.Resourcepart.fromOrThrowUnchecked(config.client.username));
        recorders = new Recorders(this, config, client);
        auth = config.authType == JicofoConfig.AuthType.NONE ? null : new AuthSessions(config);
    }

    private static XmppLink link(XmppLink.Settings settings) {
        XmppLink link = new XmppLink(settings);
        ServiceDiscoveryManager.getInstanceFor(link.connection())
                .addFeature("https://jitsi.org/meet/jicofo/terminate-restart");
        EntityCapsManager.getInstanceFor(link.connection()).enableEntityCaps();
        return link;
    }

    void start() throws Exception {
        register("conference", Jingle.FOCUS_NS, this::conferenceIq);
        if (auth != null) {
            register("login-url", Jingle.FOCUS_NS, iq -> client.send(auth.loginUrl(iq)), IQ.Type.get);
            register("logout", Jingle.FOCUS_NS, iq -> client.send(auth.logout(iq)));
        }
        for (String namespace : MUTE) {
            register("mute", namespace, this::mute);
        }
        register("jibri", Recorders.NS, recorders::handle);
        client.connection().registerIQRequestHandler(jingle);
        client.addListener(this);
        bridges.start();
        if (gateways != null) {
            register("dial", Gateways.RAYO, this::dial);
            gateways.start();
        }
        recorders.start();
        if (config.health) {
            health = new HealthCheck(config.healthInterval, config.healthTimeout, config.healthMaxDuration, false,
                    this::checkHealth);
        }
        if (config.rest) {
            new JicofoApi(this, health).addTo(http);
            http.start(config.restHost, config.restPort);
        } else {
            LOG.info("Rest interface disabled.");
        }
        client.start();
        if (service != client) {
            service.start();
        }
    }

    void stop() {
        http.stop();
        new ArrayList<>(meetings.values()).forEach(meeting -> meeting.stop("shutting down"));
        bridges.stop();
        client.stop();
        if (service != client) {
            service.stop();
        }
    }

    private interface Handler {
        void handle(XmlIq iq);
    }

    private void register(String element, String namespace, Handler handler) {
        register(element, namespace, handler, IQ.Type.set);
    }

    private void register(String element, String namespace, Handler handler, IQ.Type type) {
        client.connection().registerIQRequestHandler(
                new AbstractIqRequestHandler(element, namespace, type, AbstractIqRequestHandler.Mode.sync) {
                    @Override
                    public IQ handleIQRequest(IQ request) {
                        Periodic.io(() -> handler.handle((XmlIq) request));
                        return null;
                    }
                });
    }

    // ---- XMPP connection ----------------------------------------------------------------------------------------

    @Override
    public void authenticated(boolean resumed) {
        meetings.values().forEach(meeting -> meeting.xmppBack(resumed));
        try {
            DiscoverInfo info = ServiceDiscoveryManager.getInstanceFor(client.connection())
                    .discoverInfo(config.xmppDomain);
            Map<String, String> components = new LinkedHashMap<>();
            for (DiscoverInfo.Identity identity : info.getIdentities()) {
                if (identity.getCategory().equals("component")) {
                    components.put(identity.getType(), identity.getName());
                }
            }
            LOG.info("Discovered components: " + components);
            breakoutDomain = components.get("breakout_rooms");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (Exception e) {
            LOG.warning("Failed to discover the components of " + config.xmppDomain + ": " + e.getMessage());
        }
    }

    @Override
    public void lost() {
        meetings.values().forEach(Meeting::xmppLost);
    }

    // ---- conference requests ------------------------------------------------------------------------------------

    private void conferenceIq(XmlIq request) {
        IQ answer = conference(request, realSender(request.getFrom()));
        answer.setTo(request.getFrom());
        answer.setStanzaId(request.getStanzaId());
        client.send(answer);
    }

    /** Requests that came through Prosody's client_proxy carry the sender in the resource of the component. */
    private Jid realSender(Jid from) {
        if (from == null || config.clientProxy == null || !config.clientProxy.equals(from.asDomainBareJid())
                || from.getResourceOrNull() == null) {
            return from;
        }
        try {
            return JidCreate.from(from.getResourceOrNull().toString());
        } catch (XmppStringprepException e) {
            return from;
        }
    }

    /**
     * Answers one {@code <conference>}: joins the room first when it is new.
     *
     * @return the result or an error, without addresses
     */
    IQ conference(XmlIq request, Jid from) {
        Xml query = request.payload();
        EntityBareJid room;
        try {
            if (query.attr("room") == null) {
                return XmlIq.error(request, Condition.bad_request, "No 'room' specified.");
            }
            room = JidCreate.entityBareFrom(query.attr("room"));
        } catch (XmppStringprepException e) {
            return XmlIq.error(request, Condition.bad_request, "Invalid room name: " + e.getMessage());
        }
        requests.incrementAndGet();
        LOG.info("Conference request for room " + room + ", from " + from);
        Xml answer = Xml.of("conference", Jingle.FOCUS_NS).attr("room", room).attr("focusjid", config.focusJid());
        boolean breakout = breakoutDomain != null && room.getDomain().toString().equals(breakoutDomain);
        if (auth != null && !breakout) {
            IQ error = auth.process(request, room, from, answer);
            if (error != null) {
                return error;
            }
            if (!meetings.containsKey(room) && !hasBreakoutRooms(room) && !auth.authenticated(from)) {
                return XmlIq.error(request, Condition.not_authorized, "not authorized user domain");
            }
            meetings.values().forEach(Meeting::authenticated);
        }
        property(answer, "authentication", Boolean.toString(auth != null));
        if (auth != null) {
            property(answer, "externalAuth", Boolean.toString(auth.external()));
        }
        if (gateways != null) {
            // What shows the client's button for telephones.
            property(answer, "sipGatewayEnabled", "true");
        }
        Map<String, String> properties = new LinkedHashMap<>();
        query.children("property").forEach(p -> properties.put(p.attr("name"), p.attr("value")));
        try {
            answer.attr("ready", request(room, properties, true).ready());
        } catch (Exception e) {
            LOG.log(Level.WARNING, "Exception while trying to start the conference", e);
            return XmlIq.error(request, Condition.internal_server_error, e.getMessage());
        }
        property(answer, "visitors-supported", "false");
        return XmlIq.result(request, answer);
    }

    private static void property(Xml conference, String name, String value) {
        conference.child("property").attr("name", name).attr("value", value);
    }

    Meeting request(EntityBareJid room, Map<String, String> properties, boolean counted) throws Exception {
        Meeting meeting;
        boolean fresh = false;
        synchronized (meetings) {
            meeting = meetings.get(room);
            if (meeting == null) {
                meeting = new Meeting(this, room, properties, counted);
                meetings.put(room, meeting);
                fresh = true;
            } else {
                meeting.touch();
            }
        }
        if (fresh) {
            if (counted) {
                conferencesCreated.incrementAndGet();
            }
            meeting.start();
        }
        return meeting;
    }

    void ended(Meeting meeting) {
        meetings.remove(meeting.room(), meeting);
        recorders.ended(meeting);
        if (auth != null) {
            auth.ended(meeting.room());
        }
    }

    boolean hasBreakoutRooms(EntityBareJid room) {
        return meetings.values().stream().anyMatch(meeting -> room.equals(meeting.mainRoom()));
    }

    private void mute(XmlIq request) {
        Xml mute = request.payload();
        EntityFullJid from = request.getFrom().asEntityFullJidIfPossible();
        Meeting meeting = from == null ? null : meetings.get(from.asEntityBareJid());
        EntityFullJid target = null;
        try {
            target = mute.attr("jid") == null ? null : JidCreate.entityFullFrom(mute.attr("jid"));
        } catch (XmppStringprepException e) {
            LOG.warning("Mute request for an invalid JID: " + mute.attr("jid"));
        }
        if (target == null || !mute.text().matches("(?i)true|false")) {
            Jingle.answer(client, request, Condition.bad_request, null);
        } else if (meeting == null) {
            Jingle.answer(client, request, Condition.item_not_found, null);
        } else {
            meeting.mute(request, from, target, Boolean.parseBoolean(mute.text()));
        }
    }

    /** A participant wants a telephone called. Who may is asked of the room only: Prosody's modules come first. */
    private void dial(XmlIq request) {
        EntityBareJid room = request.getFrom() == null ? null : request.getFrom().asEntityBareJidIfPossible();
        Meeting meeting = room == null ? null : meetings.get(room);
        if (meeting == null) {
            client.send(XmlIq.error(request, Condition.item_not_found, null));
            return;
        }
        for (Xml header : request.payload().children("header")) {
            if ("JvbRoomName".equals(header.attr("name")) && !room.toString().equalsIgnoreCase(header.attr("value"))) {
                client.send(XmlIq.error(request, Condition.forbidden, null));
                return;
            }
        }
        LOG.info("Accepted jigasi request from " + request.getFrom());
        client.send(gateways.dial(request));
    }

    // ---- health -------------------------------------------------------------------------------------------------

    /** A bridge must be there, a test room must open, and Prosody must answer a ping. */
    private Result checkHealth() {
        if (bridges.operationalCount() <= 0) {
            return Result.failed("No operational bridges available (total bridge count: " + bridges.count() + ")");
        }
        try {
            EntityBareJid room = JidCreate.entityBareFrom(
                    config.healthRoomPrefix + "-" + Long.toHexString(System.nanoTime()) + "@" + config.conferenceMuc);
            Meeting meeting = request(room, Map.of(), false);
            if (!meeting.running()) {
                return Result.failed("Test conference failed to start.");
            }
        } catch (Exception e) {
            return Result.failedSoftly("Test conference failed to start: " + e.getMessage());
        }
        IQ pong = client.ask(new Ping(config.xmppDomain));
        return pong == null ? Result.failedSoftly("XMPP ping failed: no response") : Result.ok();
    }

    // ---- looks --------------------------------------------------------------------------------------------------

    JicofoConfig config() {
        return config;
    }

    String version() {
        return version;
    }

    Recorders recorders() {
        return recorders;
    }

    XmppLink client() {
        return client;
    }

    XmppLink service() {
        return service;
    }

    Bridges bridges() {
        return bridges;
    }

    Jingle jingle() {
        return jingle;
    }

    AuthSessions auth() {
        return auth;
    }

    Collection<Meeting> meetings() {
        List<Meeting> counted = new ArrayList<>();
        for (Meeting meeting : meetings.values()) {
            if (meeting.counted()) {
                counted.add(meeting);
            }
        }
        return counted;
    }

    Meeting meeting(EntityBareJid room) {
        return meetings.get(room);
    }

    void countParticipant() {
        participants.incrementAndGet();
    }

    void countIceFailed() {
        iceFailed.incrementAndGet();
    }

    void countRestart() {
        restarts.incrementAndGet();
    }
}
