// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.SmackException;
import org.jivesoftware.smack.XMPPException;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.iqrequest.IQRequestHandler.Mode;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jivesoftware.smackx.disco.ServiceDiscoveryManager;
import org.jivesoftware.smackx.iqversion.packet.Version;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;
import org.jxmpp.stringprep.XmppStringprepException;

/** All XMPP accounts of the bridge, the brewery rooms they sit in, and the requests that come through those rooms. */
final class MucClients {
    private static final Logger LOG = Logger.getLogger(MucClients.class.getName());
    private static final String HEALTH_NS = "http://jitsi.org/protocol/healthcheck";
    private static final List<String> FEATURES = List.of(HEALTH_NS, "urn:xmpp:jingle:apps:dtls:0", IceAgent.NS,
            Version.NAMESPACE);

    private final class Client implements XmppLink.Listener {
        final MucClientConfig config;
        final XmppLink link;
        final List<MucRoom> rooms = new ArrayList<>();

        Client(MucClientConfig config) throws XmppStringprepException {
            this.config = config;
            XmppLink.Settings settings = new XmppLink.Settings();
            settings.name = config.id;
            settings.host = config.hostname();
            settings.port = config.port();
            settings.domain = JidCreate.domainBareFrom(config.domain());
            settings.username = config.username();
            settings.password = config.password();
            settings.security = config.security();
            settings.trustAll = config.trustAll();
            link = new XmppLink(settings);
            ServiceDiscoveryManager disco = ServiceDiscoveryManager.getInstanceFor(link.connection());
            FEATURES.forEach(disco::addFeature);
            Resourcepart nick = Resourcepart.from(config.nickname());
            for (String room : config.rooms()) {
                rooms.add(new MucRoom(link, JidCreate.entityBareFrom(room), nick));
            }
            handle("conference-modify", Colibri.NS, IQ.Type.set);
            handle("conference-modify", Colibri.NS, IQ.Type.get);
            handle("healthcheck", HEALTH_NS, IQ.Type.get);
            handle("healthcheck", HEALTH_NS, IQ.Type.set);
            handle("query", Version.NAMESPACE, IQ.Type.get);
            link.addListener(this);
        }

        private void handle(String element, String namespace, IQ.Type type) {
            link.connection().registerIQRequestHandler(
                    new AbstractIqRequestHandler(element, namespace, type, Mode.sync) {
                        @Override
                        public IQ handleIQRequest(IQ request) {
                            return answer(Client.this, request);
                        }
                    });
        }

        boolean knows(IQ request) {
            EntityBareJid room = request.getFrom() == null ? null : request.getFrom().asEntityBareJidIfPossible();
            return room != null && rooms.stream().anyMatch(joined -> joined.jid().equals(room));
        }

        @Override
        public void authenticated(boolean resumed) {
            if (resumed) {
                return;
            }
            for (MucRoom room : rooms) {
                try {
                    boolean created = room.join();
                    LOG.info("Joined " + room.occupantJid() + (created ? " (created it)" : ""));
                    if (created) {
                        room.configure();
                    }
                } catch (SmackException | XMPPException e) {
                    // As upstream: the next attempt comes with the next login.
                    LOG.log(Level.WARNING, "Failed to join the MUCs.", e);
                    return;
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
            publish();
        }
    }

    private final Videobridge bridge;
    private final Map<String, Client> clients = new ConcurrentHashMap<>();

    MucClients(Videobridge bridge) {
        this.bridge = bridge;
    }

    void start(Collection<MucClientConfig> configs) {
        configs.forEach(this::add);
        Periodic.every(java.time.Duration.ZERO, bridge.presenceInterval(), this::publish);
    }

    /** Adds an account; one with the same id is replaced when it is another account, and kept otherwise. */
    void add(MucClientConfig config) {
        Client existing = clients.get(config.id);
        if (existing != null) {
            if (existing.config.sameAccount(config)) {
                LOG.info("Ignoring a MUC client that exists already: " + config);
                return;
            }
            remove(config.id);
        }
        try {
            LOG.info("Adding MUC client " + config);
            Client client = new Client(config);
            clients.put(config.id, client);
            client.link.start();
        } catch (XmppStringprepException e) {
            LOG.severe("MUC client " + config.id + ": " + e.getMessage());
        }
    }

    boolean remove(String id) {
        Client client = clients.remove(id);
        if (client != null) {
            client.link.stop();
        }
        return client != null;
    }

    void stop() {
        clients.values().forEach(client -> client.link.stop());
    }

    private void publish() {
        Xml extension = bridge.stats().extension();
        for (Client client : clients.values()) {
            if (client.link.loggedIn()) {
                client.rooms.forEach(room -> room.setExtension(extension));
            }
        }
    }

    private IQ answer(Client client, IQ request) {
        if (!client.knows(request)) {
            LOG.warning("Received an IQ from a non-MUC member: " + request.getFrom());
            return XmlIq.error(request, Condition.forbidden, null);
        }
        if (request instanceof Version) {
            return Version.createResultFor(request,
                    new Version("JVB", bridge.version(), System.getProperty("os.name")));
        }
        XmlIq xml = (XmlIq) request;
        if (xml.payload().getElementName().equals("healthcheck")) {
            campus.jitsi.standin.common.HealthCheck.Result result = bridge.health().result();
            return result.success ? IQ.createResultIQ(request)
                    : XmlIq.error(request, Condition.internal_server_error, result.message);
        }
        bridge.colibri().handle(xml, response -> client.link.send(response));
        return null;
    }

    Collection<String> ids() {
        return clients.keySet();
    }

    int clients() {
        return clients.size();
    }

    long connected() {
        return clients.values().stream().filter(client -> client.link.loggedIn()).count();
    }

    long rooms() {
        return clients.values().stream().mapToLong(client -> client.rooms.size()).sum();
    }

    long joined() {
        return clients.values().stream().filter(client -> client.link.loggedIn())
                .flatMap(client -> client.rooms.stream()).filter(MucRoom::joined).count();
    }
}
