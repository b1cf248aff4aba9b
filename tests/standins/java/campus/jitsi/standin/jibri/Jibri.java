// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jibri;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.HttpApi;
import campus.jitsi.standin.common.HttpApi.Response;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Version;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import com.typesafe.config.Config;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.SmackException;
import org.jivesoftware.smack.XMPPException;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.iqrequest.IQRequestHandler.Mode;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jivesoftware.smack.provider.ProviderManager;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.Jid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;
import org.jxmpp.stringprep.XmppStringprepException;

/** Start, state and end of the stand-in for Jibri. What it records, it records really: see {@link Session}. */
public final class Jibri {
    static final String NS = "http://jitsi.org/protocol/jibri";
    private static final Logger LOG = Logger.getLogger(Jibri.class.getName());
    private static final String YOUTUBE = "rtmp://a.rtmp.youtube.com/live2";
    /** systemd does not bring back who ends so. */
    private static final int WANTED = 255;

    /** One connection to one XMPP server of one environment. */
    private final class Environment implements XmppLink.Listener {
        final Config config;
        final XmppLink link;
        final MucRoom room;

        Environment(Config config, String host) throws XmppStringprepException {
            this.config = config;
            Config login = config.getConfig("control-login");
            XmppLink.Settings settings = new XmppLink.Settings();
            String[] place = host.split(":");
            settings.name = config.getString("name") + "-" + host;
            settings.host = place[0];
            settings.port = place.length > 1 ? Integer.parseInt(place[1]) : login.hasPath("port") ? login.getInt("port") : 5222;
            settings.domain = JidCreate.domainBareFrom(login.getString("domain"));
            settings.username = login.getString("username");
            settings.password = login.getString("password");
            settings.trustAll = config.getBoolean("trust-all-xmpp-certs");
            settings.security = SecurityMode.valueOf(config.hasPath("security-mode") ? config.getString("security-mode") : "ifpossible");
            link = new XmppLink(settings);
            Config muc = config.getConfig("control-muc");
            room = new MucRoom(link, JidCreate.entityBareFrom(muc.getString("room-name") + "@" + muc.getString("domain")),
                    Resourcepart.from(muc.getString("nickname")));
            link.connection().registerIQRequestHandler(new AbstractIqRequestHandler("jibri", NS, IQ.Type.set, Mode.sync) {
                @Override
                public IQ handleIQRequest(IQ request) {
                    Periodic.io(() -> link.send(answer(Environment.this, (XmlIq) request)));
                    return null;
                }
            });
            link.addListener(this);
        }

        @Override
        public void authenticated(boolean resumed) {
            if (resumed) {
                return;
            }
            try {
                room.join();
                room.setExtension(status());
                LOG.info("Joined " + room.occupantJid());
            } catch (SmackException | XMPPException e) {
                LOG.log(Level.WARNING, "Failed to join the MUCs.", e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        @Override
        public void lost() {
            if (active == this) {
                LOG.warning("XMPP disconnected, stopping.");
                Periodic.io(Jibri.this::stopService);
            }
        }
    }

    private final Conf conf;
    private final List<Environment> environments = new ArrayList<>();
    private final HttpApi external = new HttpApi();
    private final HttpApi internal = new HttpApi();
    private Session session;
    private volatile Environment active;
    private volatile boolean busy;
    private volatile boolean expired;
    private Runnable whenIdle;

    private Jibri(Conf conf) {
        this.conf = conf;
    }

    public static void main(Class<?> main, String[] args) throws Exception {
        Conf conf = Conf.load();
        for (int i = 0; i + 1 < args.length; i++) {
            if (args[i].equals("--config") && Files.exists(Path.of(args[i + 1]))) {
                LOG.severe("The stand-in does not read " + args[i + 1] + ", which the real program would prefer.");
                System.exit(1);
            }
        }
        LOG.info("Jibri starting up with id " + conf.string("jibri.id") + " (" + Version.NOTICE + ")");
        new Jibri(conf).run();
    }

    private void run() throws Exception {
        ProviderManager.addIQProvider("jibri", NS, new Xml.IqPayloadProvider());
        String base = "/jibri/api/internal/v1.0/";
        internal.route("POST", base + "gracefulShutdown", request -> later(() -> whenIdle(() -> System.exit(WANTED))));
        internal.route("POST", base + "notifyConfigChanged", request -> later(() -> whenIdle(() -> System.exit(0))));
        internal.route("POST", base + "shutdown", request -> later(() -> {
            stopService();
            System.exit(WANTED);
        }));
        internal.start(conf.string("jibri.api.http.internal-api-host"), conf.integer("jibri.api.http.internal-api-port"));
        for (Config environment : conf.objects("jibri.api.xmpp.environments")) {
            for (String host : environment.getStringList("xmpp-server-hosts")) {
                // What the real program reads at the start, and without which it ends.
                for (String key : List.of("strip-from-room-domain", "xmpp-domain", "call-login.domain", "call-login.username",
                        "call-login.password")) {
                    environment.getString(key);
                }
                environment.getDuration("usage-timeout");
                environments.add(new Environment(environment, host));
            }
        }
        environments.forEach(environment -> environment.link.start());
        external.route("GET", "/jibri/api/v1.0/health", request -> Response.json(health()));
        external.route("POST", "/jibri/api/v1.0/stopService", request -> {
            stopService();
            return Response.text(200, "");
        });
        external.start(conf.string("jibri.api.http.external-api-host"), conf.integer("jibri.api.http.external-api-port"));
        while (true) {
            LockSupport.park();
        }
    }

    private static Response later(Runnable task) {
        Periodic.after(java.time.Duration.ofMillis(100), () -> Periodic.io(task));
        return new Response(200, HttpApi.JSON, "{}");
    }

    private Map<String, Object> health() {
        Map<String, Object> health = Json.object("status", Json.object(
                "busyStatus", expired ? "EXPIRED" : busy ? "BUSY" : "IDLE",
                "health", Json.object("healthStatus", "HEALTHY", "details", Json.object())), "standin", Version.NOTICE);
        Environment used = active;
        if (used != null) {
            health.put("environmentContext", Json.object("name", used.link.settings().name));
        }
        return health;
    }

    private Xml status() {
        Xml status = Xml.of("jibri-status", NS);
        status.child("busy-status").attr("status", busy ? "busy" : "idle");
        status.child("health-status", "http://jitsi.org/protocol/health").attr("status", "healthy");
        return status;
    }

    private void publish() {
        if (!expired) {
            environments.forEach(environment -> environment.room.setExtension(status()));
        }
    }

    // ---- requests of jicofo ---------------------------------------------------------------------------------------

    private static Xml jibri(String status) {
        return Xml.of("jibri", NS).attr("status", status);
    }

    private IQ answer(Environment environment, XmlIq request) {
        Xml asked = request.payload();
        LOG.info("Received JibriIq action=" + asked.attr("action") + " mode=" + asked.attr("recording_mode") + " room=" + asked.attr("room"));
        if ("stop".equals(asked.attr("action"))) {
            stopService();
            return XmlIq.result(request, jibri("off"));
        }
        if (!"start".equals(asked.attr("action"))) {
            return XmlIq.error(request, Condition.bad_request, null);
        }
        String mode = asked.attr("recording_mode");
        if (!"file".equals(mode) && !"stream".equals(mode)) {
            return XmlIq.result(request, jibri("off").attr("failure_reason", "error").attr("should_retry", false));
        }
        try {
            return start(environment, request, asked)
                    ? XmlIq.result(request, jibri("pending"))
                    : XmlIq.result(request, jibri("off").attr("failure_reason", "busy").attr("should_retry", true));
        } catch (XmppStringprepException | RuntimeException e) {
            LOG.log(Level.SEVERE, "Error starting Jibri service", e);
            return XmlIq.result(request, jibri("off").attr("failure_reason", "error").attr("should_retry", true));
        }
    }

    private synchronized boolean start(Environment environment, XmlIq request, Xml asked) throws XmppStringprepException {
        if (busy || expired) {
            return false;
        }
        Jid focus = request.getFrom();
        String stream = asked.attr("streamid");
        if (stream != null && !stream.toLowerCase(java.util.Locale.ROOT).matches("rtmps?://.*")) {
            stream = YOUTUBE + "/" + stream;
        }
        Session.Listener listener = new Session.Listener() {
            @Override
            public void running() {
                environment.link.send(XmlIq.set(focus, jibri("on")));
            }

            @Override
            public void ended(String failure, boolean retry) {
                Xml said = jibri("off");
                if (failure != null) {
                    said.attr("failure_reason", "error").attr("should_retry", retry);
                }
                environment.link.send(XmlIq.set(focus, said));
                Periodic.io(Jibri.this::stopService);
            }
        };
        session = new Session(conf, asked.attr("session_id"), address(environment.config, asked.attr("room")),
                "stream".equals(asked.attr("recording_mode")) ? stream : null, environment.config.getConfig("call-login"), listener);
        active = environment;
        busy = true;
        publish();
        Session started = session;
        Periodic.io(started::start);
        return true;
    }

    /** The address of the page: what is before the domain in the name of the host of rooms is the tenant. */
    private static String address(Config config, String room) throws XmppStringprepException {
        EntityBareJid jid = JidCreate.entityBareFrom(room);
        String domain = jid.getDomain().toString().replace(config.getString("strip-from-room-domain"), "");
        String home = config.getString("xmpp-domain");
        String base = config.hasPath("base-url") ? config.getString("base-url") : "https://" + home;
        String tenant = domain.equals(home) ? "" : "/" + domain.substring(0, Math.max(0, domain.length() - home.length() - 1));
        return base + tenant + "/" + jid.getLocalpart();
    }

    private void stopService() {
        Session ending;
        synchronized (this) {
            ending = session;
        }
        if (ending == null) {
            LOG.info("No service active, ignoring stop");
            return;
        }
        ending.stop();
        Runnable then;
        synchronized (this) {
            if (session != ending) {
                return;
            }
            session = null;
            active = null;
            busy = false;
            expired = conf.flag("jibri.single-use-mode");
            then = whenIdle;
            whenIdle = null;
        }
        publish();
        if (then != null) {
            then.run();
        }
    }

    private void whenIdle(Runnable task) {
        synchronized (this) {
            if (session != null) {
                LOG.info("Waiting to be idle before exiting");
                whenIdle = task;
                return;
            }
        }
        task.run();
    }
}
