// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.io.IOException;
import java.net.DatagramSocket;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;
import org.jxmpp.stringprep.XmppStringprepException;

/** The calls of a process, and its seats in the breweries, through which jicofo has it dial. */
final class Gateway {
    static final String RAYO = "urn:xmpp:rayo:1";

    private static final Logger LOG = Logger.getLogger(Gateway.class.getName());

    private final Settings settings;
    private final String version;
    private final int minPort;
    private final int maxPort;
    private final Map<String, Call> calls = new ConcurrentHashMap<>();
    private final List<MucRoom> breweries = new java.util.concurrent.CopyOnWriteArrayList<>();
    private Map<String, String> sip;
    private SipAccount account;
    private volatile boolean shuttingDown;
    private Runnable end = () -> { };

    Gateway(Settings settings, String version, int minPort, int maxPort) {
        this.settings = settings;
        this.version = version;
        this.minPort = minPort;
        this.maxPort = maxPort;
    }

    void start(Runnable whenEmpty) throws Exception {
        end = whenEmpty;
        String allowed = settings.own("ALLOWED_JID");
        LOG.info(allowed == null ? "Requests are not secured by JID filter!" : "JID allowed to make outgoing calls: " + allowed);
        if ("true".equals(settings.get("net.java.sip.communicator.service.gui.ALWAYS_TRUST_MODE_ENABLED"))) {
            LOG.warning("Always trust in remote TLS certificates mode is enabled; this stand-in goes on verifying them.");
        }
        for (Map<String, String> xmpp : settings.accounts(Settings.XMPP)) {
            if (xmpp.get("BREWERY") != null && !"true".equals(xmpp.get("IS_ACCOUNT_DISABLED"))) {
                brew(xmpp);
            }
        }
        if (settings.own("ENABLE_SIP", "true").equals("false")) {
            LOG.info("skipped initialization of SipGateway");
            return;
        }
        List<Map<String, String>> accounts = settings.accounts(Settings.SIP);
        if (accounts.isEmpty()) {
            LOG.severe("There is no SIP account.");
            return;
        }
        if (accounts.size() > 1) {
            LOG.warning("SIP provider already set: of " + accounts.size() + " SIP accounts the first is used.");
        }
        sip = accounts.get(0);
        account = new SipAccount(sip, settings.number("net.java.sip.communicator.SIP_PREFERRED_CLEAR_PORT", 5060),
                settings.number("net.java.sip.communicator.SIP_PREFERRED_SECURE_PORT", 5061));
        account.start(this::request);
    }

    Settings settings() {
        return settings;
    }

    String header(String property, String fallback) {
        return sip.getOrDefault(property, fallback);
    }

    boolean encrypts() {
        return "true".equals(sip.get("DEFAULT_ENCRYPTION")) && !"false".equals(sip.get("ENCRYPTION_PROTOCOL_STATUS.SDES"));
    }

    boolean insistsOnKeys() {
        return encrypts() && "1".equals(sip.get("SAVP_OPTION"));
    }

    boolean ready() {
        return account != null && account.registered();
    }

    DatagramSocket mediaSocket() throws IOException {
        for (int port = minPort; port <= maxPort; port += 2) {
            try {
                return new DatagramSocket(port);
            } catch (IOException e) {
                LOG.fine(port + ": " + e.getMessage());
            }
        }
        throw new IOException("no free port from " + minPort + " to " + maxPort);
    }

    // ---- calls in -----------------------------------------------------------------------------------------------

    private void request(SipMessage request, SipTransport.Way back) {
        try {
            Call call = calls.get(String.valueOf(request.first("Call-ID")));
            if (call != null) {
                call.request(request, back);
            } else if (request.method().equals("INVITE")) {
                LOG.info("Incoming call received from " + SipMessage.user(request.first("From")));
                if (shuttingDown) {
                    back.send(request.response(503, "Service Unavailable", SipAccount.random()));
                    return;
                }
                Call incoming = new Call(this, account, request, back);
                calls.put(incoming.callId(), incoming);
                back.send(request.response(100, "Trying", null));
                Periodic.io(incoming::take);
            } else if (request.method().equals("OPTIONS")) {
                back.send(request.response(200, "OK", SipAccount.random()));
            } else if (!request.method().equals("ACK")) {
                back.send(request.response(481, "Call/Transaction Does Not Exist", SipAccount.random()));
            }
        } catch (IOException e) {
            LOG.warning("SIP: " + e.getMessage());
        }
    }

    void over(Call call) {
        calls.remove(call.callId());
        publish();
        maybeEnd();
    }

    // ---- the brewery --------------------------------------------------------------------------------------------

    private void brew(Map<String, String> xmpp) throws XmppStringprepException {
        XmppLink.Settings login = new XmppLink.Settings();
        String user = xmpp.get("USER_ID");
        login.name = "brewery";
        login.username = user.substring(0, user.indexOf('@'));
        login.domain = JidCreate.domainBareFrom(user.substring(user.indexOf('@') + 1));
        login.host = "true".equals(xmpp.get("IS_SERVER_OVERRIDDEN")) ? xmpp.get("SERVER_ADDRESS") : login.domain.toString();
        login.port = Integer.parseInt(xmpp.getOrDefault("SERVER_PORT", "5222"));
        login.password = new String(Base64.getMimeDecoder().decode(xmpp.getOrDefault("PASSWORD", "")), java.nio.charset.StandardCharsets.UTF_8);
        login.resource = "true".equals(xmpp.get("AUTO_GENERATE_RESOURCE")) ? "jigasi-" + SipAccount.random() : xmpp.getOrDefault("RESOURCE", "jigasi");
        login.security = "true".equals(xmpp.get("ALLOW_NON_SECURE")) ? SecurityMode.ifpossible : SecurityMode.required;
        XmppLink link = new XmppLink(login);
        MucRoom brewery = new MucRoom(link, JidCreate.entityBareFrom(xmpp.get("BREWERY")), Resourcepart.from(login.resource));
        breweries.add(brewery);
        register(link, "dial");
        register(link, "hangup");
        link.addListener(new XmppLink.Listener() {
            @Override
            public void authenticated(boolean resumed) {
                try {
                    brewery.join();
                    LOG.info("Joined call control room: " + brewery.occupantJid());
                    publish();
                } catch (Exception e) {
                    LOG.log(Level.SEVERE, "Cannot join " + brewery.jid(), e);
                }
            }
        });
        link.start();
    }

    private void register(XmppLink link, String element) {
        link.connection().registerIQRequestHandler(
                new AbstractIqRequestHandler(element, RAYO, IQ.Type.set, AbstractIqRequestHandler.Mode.sync) {
                    @Override
                    public IQ handleIQRequest(IQ request) {
                        Periodic.io(() -> link.send(control((XmlIq) request)));
                        return null;
                    }
                });
    }

    private IQ control(XmlIq request) {
        String allowed = settings.own("ALLOWED_JID");
        if (allowed != null && !request.getFrom().asBareJid().toString().equalsIgnoreCase(allowed)) {
            LOG.warning("Refused an order of " + request.getFrom());
            return XmlIq.error(request, Condition.not_authorized, null);
        }
        try {
            return request.payload().getElementName().equals("dial") ? dial(request) : hangUp(request);
        } catch (Exception e) {
            LOG.log(Level.WARNING, "Cannot dial: " + e.getMessage(), e);
            return XmlIq.error(request, Condition.internal_server_error, e.getMessage());
        }
    }

    private IQ dial(XmlIq request) throws Exception {
        Xml dial = request.payload();
        String where = null;
        String password = null;
        for (Xml header : dial.children("header")) {
            if ("JvbRoomName".equals(header.attr("name"))) {
                where = header.attr("value");
            } else if ("JvbRoomPassword".equals(header.attr("name"))) {
                password = header.attr("value");
            }
        }
        if (where == null) {
            throw new IOException("No JvbRoomName header found");
        }
        if (account == null || dial.attr("to").equals("jitsi_meet_transcribe")) {
            return XmlIq.error(request, Condition.not_acceptable, null);
        }
        if (!ready()) {
            throw new IOException("the SIP account is not registered");
        }
        LOG.info("Got dial request " + dial.attr("from") + " -> " + dial.attr("to") + " room: " + where);
        EntityBareJid room = JidCreate.entityBareFrom(where);
        Call call = new Call(this, account, dial.attr("to"));
        calls.put(call.callId(), call);
        String secret = password;
        Periodic.io(() -> {
            try {
                call.enter(room, secret);
            } catch (Exception e) {
                LOG.log(Level.WARNING, e.getMessage(), e);
                call.end(e.getMessage());
                return;
            }
            call.dial(room, sip.getOrDefault("OUTBOUND_PREFIX", ""));
        });
        String resource = call.resource + "@" + room.getDomain().toString().replaceFirst("^(conference|muc)\\.", "");
        return XmlIq.result(request, Xml.of("ref", RAYO).attr("uri", "xmpp:" + resource));
    }

    private IQ hangUp(XmlIq request) {
        String resource = String.valueOf(request.getTo().getLocalpartOrNull());
        for (Call call : calls.values()) {
            if (call.resource.equals(resource)) {
                call.end("the focus wants it");
                return IQ.createResultIQ(request);
            }
        }
        return XmlIq.error(request, Condition.item_not_found, null);
    }

    // ---- looks --------------------------------------------------------------------------------------------------

    Collection<Call> calls() {
        return calls.values();
    }

    long conferences() {
        return calls.values().stream().filter(Call::inTheRoom).count();
    }

    int participants() {
        // Without the focus, and with the call itself.
        return calls.values().stream().filter(Call::inTheRoom).mapToInt(call -> call.participants() + 1).sum();
    }

    double stress() {
        return conferences() / Double.parseDouble(settings.own("CONFERENCES_THRESHOLD", "100"));
    }

    boolean shuttingDown() {
        return shuttingDown;
    }

    void shutDown() {
        LOG.info("Entered graceful shutdown mode");
        shuttingDown = true;
        publish();
        maybeEnd();
    }

    private void maybeEnd() {
        if (shuttingDown && calls.isEmpty()) {
            LOG.info("Jigasi is shutting down NOW");
            end.run();
        }
    }

    void publish() {
        Xml stats = Xml.of("stats", "http://jitsi.org/protocol/colibri");
        stat(stats, "conferences", conferences());
        stat(stats, "participants", participants());
        stat(stats, "shutdown_in_progress", shuttingDown);
        stat(stats, "stress_level", stress());
        if (settings.own("LOCAL_REGION") != null) {
            stat(stats, "region", settings.own("LOCAL_REGION"));
        }
        stat(stats, "version", version);
        stat(stats, "supports_transcription", "true".equals(settings.own("ENABLE_TRANSCRIPTION")));
        stat(stats, "supports_sip", account != null);
        breweries.forEach(brewery -> brewery.setExtension(stats));
    }

    private static void stat(Xml stats, String name, Object value) {
        stats.child("stat").attr("name", name).attr("value", value);
    }

    void stop() {
        calls.values().forEach(call -> call.end("jigasi stops"));
        breweries.forEach(brewery -> brewery.link().stop());
    }
}
