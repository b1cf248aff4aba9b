// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.HealthCheck;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Version;
import campus.jitsi.standin.common.Xml;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.provider.ProviderManager;

/** Start, state and stop of the stand-in for Jitsi Videobridge. */
public final class Videobridge {
    private static final Logger LOG = Logger.getLogger(Videobridge.class.getName());
    /** sysexits.h EX_CONFIG; the unit does not restart after it. */
    private static final int CONFIGURATION_ERROR = 78;

    private final Conf conf;
    private final String version;
    private final BridgeIce ice;
    private final MucClients mucs = new MucClients(this);
    private final Stats stats;
    private final Colibri colibri;
    private final Shutdown shutdown;
    private final CountDownLatch end = new CountDownLatch(1);
    private final Map<String, Conference> conferences = new LinkedHashMap<>();
    private final AtomicLong conferencesCreated = new AtomicLong();
    private final AtomicLong endpointsCreated = new AtomicLong();
    private final AtomicLong secondsCompleted = new AtomicLong();
    private final String region;
    private HealthCheck health;
    private volatile boolean drain;
    private volatile boolean graceful;

    private Videobridge(Conf conf, String version) {
        this.conf = conf;
        this.version = version;
        this.ice = new BridgeIce(conf);
        this.stats = new Stats(this, conf);
        this.colibri = new Colibri(this, conf, ice);
        this.shutdown = new Shutdown(conf, end::countDown);
        this.drain = conf.flag("videobridge.initial-drain-mode");
        this.region = firstOf("videobridge.octo.region", "videobridge.relay.region");
    }

    /**
     * Runs until a signal (exit code 128 + its number) or a requested shutdown (exit code 0).
     *
     * <p>A file that does not parse ends the process. A value that cannot be used only ends the start: what runs by
     * then stays, and systemd sees a living process without XMPP, as with the real program.
     */
    public static void main(Class<?> main) {
        Thread.setDefaultUncaughtExceptionHandler((thread, e) ->
                LOG.log(Level.SEVERE, "An uncaught exception occurred in thread=" + thread, e));
        String version = Version.of(main, "2.3-0").replaceFirst("-", ".");
        Conf conf = loadConf();
        LOG.info("Starting jitsi-videobridge version JVB " + version + " (" + Version.NOTICE + ").");
        try {
            System.exit(new Videobridge(conf, version).run());
        } catch (RuntimeException | java.io.IOException e) {
            LOG.log(Level.SEVERE, "An uncaught exception occurred in thread=" + Thread.currentThread(), e);
            while (true) {
                LockSupport.park();
            }
        }
    }

    /** ice4j's old property names may stand in sip-communicator.properties; they become system properties. */
    private static Conf loadConf() {
        Conf conf = Conf.load();
        boolean changed = false;
        for (Map.Entry<String, String> entry : conf.legacyByPrefix("org.ice4j").entrySet()) {
            if (System.getProperty(entry.getKey()) == null) {
                System.setProperty(entry.getKey(), entry.getValue());
                changed = true;
            }
        }
        if (changed) {
            ConfigFactory.invalidateCaches();
            conf = Conf.load();
        }
        return conf;
    }

    private int run() throws java.io.IOException {
        Thread discovery = new Thread(ice.addresses::discover, "address discovery");
        discovery.setDaemon(true);
        discovery.start();
        ice.bind();
        try {
            conf.strings("jmt.dtls.cipher-suites");
        } catch (ConfigException e) {
            LOG.severe("Dtls configuration error: " + e.getMessage());
            return CONFIGURATION_ERROR;
        }
        ProviderManager.addIQProvider("conference-modify", Colibri.NS, new Xml.IqPayloadProvider());
        ProviderManager.addIQProvider(
                "healthcheck", "http://jitsi.org/protocol/healthcheck", new Xml.IqPayloadProvider());
        health = new HealthCheck(conf.duration("videobridge.health.interval"),
                conf.duration("videobridge.health.timeout"),
                conf.duration("videobridge.health.max-check-duration"),
                conf.flag("videobridge.health.sticky-failures"), this::checkHealth);
        mucs.start(MucClientConfig.read(conf));
        Duration timeout = conf.duration("videobridge.entity-expiration.timeout");
        Duration interval = conf.duration("videobridge.entity-expiration.check-interval");
        Periodic.every(interval, interval, () -> expireIdle(timeout));
        JvbApi api = new JvbApi(this, conf);
        api.start();

        AtomicInteger status = new AtomicInteger();
        for (String name : new String[] {"TERM", "HUP", "INT"}) {
            sun.misc.Signal.handle(new sun.misc.Signal(name), signal -> {
                LOG.info("Caught signal SIG" + signal.getName() + ", shutting down.");
                status.set(128 + signal.getNumber());
                end.countDown();
            });
        }
        try {
            end.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        LOG.info("Bridge shutting down");
        mucs.stop();
        api.stop();
        ice.close();
        return status.get();
    }

    private HealthCheck.Result checkHealth() {
        if (conf.flag("videobridge.health.require-valid-address") && !ice.hasPublicAddress()) {
            return HealthCheck.Result.failed("No valid IP addresses available for harvesting.");
        }
        if (conf.flag("videobridge.health.require-stun") && ice.addresses.stunFailed()) {
            return HealthCheck.Result.failed("Address discovery through STUN failed");
        }
        if (ice.ports().isEmpty()) {
            return HealthCheck.Result.failed("Failed to bind single-port");
        }
        return HealthCheck.Result.ok();
    }

    private String firstOf(String... options) {
        for (String option : options) {
            if (conf.has(option)) {
                return conf.string(option);
            }
        }
        return null;
    }

    boolean relayEnabled() {
        return conf.has("videobridge.octo.enabled")
                ? conf.flag("videobridge.octo.enabled") : conf.flag("videobridge.relay.enabled");
    }

    /** @throws ConfigException.Missing as late as in the real program: when the presence is made. */
    String relayId() {
        String id = firstOf("videobridge.octo.relay-id", "videobridge.relay.relay-id",
                "videobridge.octo.bind-address");
        if (id == null) {
            throw new ConfigException.Missing("videobridge.relay.relay-id");
        }
        return id;
    }

    // Conferences

    synchronized Conference conference(String meetingId) {
        return conferences.get(meetingId);
    }

    synchronized Conference createConference(String meetingId, String name, boolean rtcstats) {
        Conference conference = new Conference(meetingId, name, rtcstats);
        conferences.put(meetingId, conference);
        conferencesCreated.incrementAndGet();
        LOG.info("create_conf, id=" + conference.id + " meeting_id=" + meetingId + " name=" + name);
        return conference;
    }

    synchronized Collection<Conference> conferences() {
        return new ArrayList<>(conferences.values());
    }

    private long endpoints() {
        return conferences().stream().mapToLong(conference -> conference.endpoints().size()).sum();
    }

    void endpointCreated() {
        endpointsCreated.incrementAndGet();
    }

    void expire(Conference conference, String endpoint) {
        if (conference.remove(endpoint)) {
            LOG.info("Expired endpoint " + endpoint + " in " + conference.meetingId);
            shutdown.participants(endpoints());
        }
    }

    void expire(Conference conference) {
        synchronized (this) {
            if (!conferences.remove(conference.meetingId, conference)) {
                return;
            }
        }
        conference.endpoints().forEach(endpoint -> conference.remove(endpoint.id));
        secondsCompleted.addAndGet(Duration.between(conference.created, Instant.now()).toSeconds());
        LOG.info("expire_conf, id=" + conference.id + " meeting_id=" + conference.meetingId);
        shutdown.participants(endpoints());
    }

    private void expireIdle(Duration timeout) {
        Instant now = Instant.now();
        for (Conference conference : conferences()) {
            for (Conference.Endpoint endpoint : conference.endpoints()) {
                if (endpoint.idle(timeout, now)) {
                    expire(conference, endpoint.id);
                }
            }
            if (conference.mayGo(now)) {
                expire(conference);
            }
        }
    }

    // What the APIs need

    void requestShutdown(boolean gracefully) {
        graceful |= gracefully;
        shutdown.request(gracefully, endpoints());
    }

    void setDrain(boolean enable) {
        LOG.info("Received drain request. enable=" + enable);
        drain = enable;
    }

    Map<String, Object> debugState() {
        Map<String, Object> byId = new LinkedHashMap<>();
        conferences().forEach(conference -> byId.put(conference.id, conference.debugState()));
        return Json.object("standin", Version.NOTICE, "shutdown_state", shutdown.state().name(), "drain", drain,
                "time", System.currentTimeMillis(), "conferences", byId);
    }

    boolean drain() {
        return drain;
    }

    boolean wasGraceful() {
        return graceful;
    }

    Shutdown shutdown() {
        return shutdown;
    }

    HealthCheck health() {
        return health;
    }

    BridgeIce ice() {
        return ice;
    }

    MucClients mucs() {
        return mucs;
    }

    Stats stats() {
        return stats;
    }

    Colibri colibri() {
        return colibri;
    }

    String version() {
        return version;
    }

    String region() {
        return region;
    }

    long conferencesCreated() {
        return conferencesCreated.get();
    }

    long endpointsCreated() {
        return endpointsCreated.get();
    }

    long conferenceSeconds() {
        Instant now = Instant.now();
        return secondsCompleted.get() + conferences().stream()
                .mapToLong(conference -> Duration.between(conference.created, now).toSeconds()).sum();
    }

    Duration presenceInterval() {
        return conf.duration("videobridge.apis.xmpp-client.presence-interval");
    }
}
