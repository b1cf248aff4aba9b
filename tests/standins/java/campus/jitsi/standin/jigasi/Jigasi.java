// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import campus.jitsi.standin.common.HttpApi;
import campus.jitsi.standin.common.HttpApi.Response;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Metrics;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Version;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmppLink;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.provider.ProviderManager;
import org.jivesoftware.smack.tcp.XMPPTCPConnection;

/** Start and stop of the stand-in for Jigasi, the gateway to telephones. */
public final class Jigasi {
    private static final Logger LOG = Logger.getLogger(Jigasi.class.getName());

    private Jigasi() {
    }

    /** Runs until a signal or a graceful shutdown. */
    public static void main(Class<?> main, String[] args) throws Exception {
        String version = Version.of(main, "1.1-0").replaceFirst("-", ".");
        LOG.info("Starting Jigasi " + version + " (" + Version.NOTICE + ").");
        Thread.setDefaultUncaughtExceptionHandler((thread, e) ->
                LOG.log(Level.SEVERE, "An uncaught exception occurred in thread=" + thread, e));
        Map<String, String> options = new HashMap<>();
        for (String arg : args) {
            String[] parts = arg.split("=", 2);
            if (!arg.startsWith("--") || parts.length < 2) {
                LOG.severe("No such option: " + arg);
                System.exit(1);
            }
            options.put(parts[0], parts[1]);
        }
        Path file = Path.of(options.getOrDefault("--configdir", System.getProperty("user.dir")),
                options.getOrDefault("--configdirname", "jigasi-home"), "sip-communicator.properties");
        Settings settings = new Settings(file);
        // Loads the class first, which turns it on for the other stand-ins.
        Class.forName(XmppLink.class.getName());
        XMPPTCPConnection.setUseStreamManagementDefault(false);
        XMPPTCPConnection.setUseStreamManagementResumptionDefault(false);
        Xml.IqPayloadProvider payload = new Xml.IqPayloadProvider();
        for (String[] element : new String[][] {{"dial", Gateway.RAYO}, {"hangup", Gateway.RAYO}, {"ref", Gateway.RAYO},
                {"jingle", "urn:xmpp:jingle:1"}, {"conference", "http://jitsi.org/protocol/focus"}}) {
            ProviderManager.addIQProvider(element[0], element[1], payload);
        }
        CountDownLatch end = new CountDownLatch(1);
        Gateway gateway = new Gateway(settings, version, Integer.parseInt(options.getOrDefault("--min-port", "10000")),
                Integer.parseInt(options.getOrDefault("--max-port", "20000")));
        api(gateway, settings, version).start(settings.own("rest.host", "127.0.0.1"), Integer.parseInt(settings.own("rest.port", "8788")));
        try {
            gateway.start(end::countDown);
        } catch (Exception e) {
            // As in the real program, where each part starts by itself: what runs by now goes on.
            LOG.log(Level.SEVERE, "Failed to start the gateway: " + e.getMessage(), e);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(gateway::stop));
        end.await();
        System.exit(0);
    }

    private static HttpApi api(Gateway gateway, Settings settings, String version) {
        Metrics metrics = new Metrics("jitsi_jigasi_")
                .gauge("conferences", "Number of conferences.", gateway::conferences)
                .gauge("participants", "Number of participants.", gateway::participants)
                .gauge("stress_level", "Stress level.", gateway::stress)
                .gauge("shutdown_in_progress", "Whether jigasi is in graceful shutdown mode.", () -> gateway.shuttingDown() ? 1 : 0);
        HttpApi http = new HttpApi()
                .route("GET", "/about/version", request -> Response.json(Json.object("name", "Jigasi", "version", version, "os", "Linux",
                        "standin", Version.NOTICE)))
                // The real one calls HEALTH_CHECK_SIP_URI, and without one is never healthy; it says nothing at all while its account is not
                // registered.
                .route("GET", "/about/health", request -> !gateway.ready() ? new Response(503, HttpApi.JSON, "")
                        : settings.own("HEALTH_CHECK_SIP_URI") != null ? new Response(200, HttpApi.JSON, "{}")
                        : new Response(500, HttpApi.JSON, Json.write(Json.object("reason", "GW not ready."))))
                .route("GET", "/about/stats", request -> Response.json(Json.object("conferences", gateway.conferences(),
                        "participants", gateway.participants(), "stress_level", gateway.stress(), "shutdown_in_progress", gateway.shuttingDown())))
                .route("GET", "/metrics", metrics::answer);
        if ("true".equals(settings.own("ENABLE_REST_SHUTDOWN"))) {
            http.route("POST", "/about/shutdown", request -> {
                Periodic.io(gateway::shutDown);
                return new Response(200, null, "");
            });
        }
        return http;
    }
}
