// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.lang.reflect.Field;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledFuture;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.net.ssl.X509TrustManager;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.ConnectionListener;
import org.jivesoftware.smack.ReconnectionManager;
import org.jivesoftware.smack.SASLAuthentication;
import org.jivesoftware.smack.SmackConfiguration;
import org.jivesoftware.smack.SmackException;
import org.jivesoftware.smack.StanzaCollector;
import org.jivesoftware.smack.XMPPConnection;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Stanza;
import org.jivesoftware.smack.parsing.ExceptionLoggingCallback;
import org.jivesoftware.smack.tcp.XMPPTCPConnection;
import org.jivesoftware.smack.tcp.XMPPTCPConnectionConfiguration;
import org.jxmpp.jid.DomainBareJid;
import org.jxmpp.jid.parts.Resourcepart;

/**
 * One client connection to the XMPP server that comes back by itself.
 *
 * <p>TLS is verified by Smack with the JVM's default trust store against the login domain (not the host name), and
 * stream management is on, as in jicofo's XmppProvider and jicoco's MucClient. Without a password the connection is
 * made but nobody logs in, as jicofo does it.
 */
public final class XmppLink {
    static {
        SmackConfiguration.setDefaultReplyTimeout(15000);
        SmackConfiguration.setUnknownIqRequestReplyMode(
                SmackConfiguration.UnknownIqRequestReplyMode.replyFeatureNotImplemented);
        // One stanza that does not parse is none of the other conferences' business.
        SmackConfiguration.setDefaultParsingExceptionCallback(new ExceptionLoggingCallback());
        // Reconnecting is done below, in one place for the first and every later attempt.
        ReconnectionManager.setEnabledPerDefault(false);
        SASLAuthentication.unregisterSASLMechanism("org.jivesoftware.smack.sasl.javax.SASLGSSAPIMechanism");
        XMPPTCPConnection.setUseStreamManagementDefault(true);
        XMPPTCPConnection.setUseStreamManagementResumptionDefault(true);
    }

    /** Told about logins and losses, on a thread that may block. */
    public interface Listener {
        default void authenticated(boolean resumed) { }

        default void lost() { }
    }

    /** What one connection needs to know. */
    public static final class Settings {
        public String name;
        public String host;
        public int port = 5222;
        public DomainBareJid domain;
        public String username;
        public String password;
        public String resource;
        /** Logs in without an account. */
        public boolean anonymous;
        public SecurityMode security = SecurityMode.ifpossible;
        public boolean trustAll;
        public Duration replyTimeout = Duration.ofSeconds(15);
    }

    private static final Duration LONGEST_PAUSE = Duration.ofSeconds(5);

    private final Logger log;
    private final Settings settings;
    private final XMPPTCPConnection connection;
    private final List<Listener> listeners = new CopyOnWriteArrayList<>();
    private final InOrder events = new InOrder();
    private ScheduledFuture<?> attempt;
    private int failures;
    private boolean stopped = true;
    private volatile int stream;

    public XmppLink(Settings settings) {
        this.settings = settings;
        this.log = Logger.getLogger(XmppLink.class.getName() + "." + settings.name);
        this.connection = new XMPPTCPConnection(configuration());
        connection.setReplyTimeout(settings.replyTimeout.toMillis());
        connection.addConnectionListener(new ConnectionListener() {
            @Override
            public void authenticated(XMPPConnection c, boolean resumed) {
                if (!resumed) {
                    stream++;
                }
                log.info("Logged in as " + connection.getUser() + ", resumed=" + resumed
                        + ", TLS=" + connection.isSecureConnection());
                events.add(() -> listeners.forEach(listener -> listener.authenticated(resumed)));
            }

            @Override
            public void connectionClosed() {
                gone(null);
            }

            @Override
            public void connectionClosedOnError(Exception e) {
                gone(e);
            }
        });
    }

    private XMPPTCPConnectionConfiguration configuration() {
        XMPPTCPConnectionConfiguration.Builder builder = XMPPTCPConnectionConfiguration.builder()
                .setHost(settings.host)
                .setPort(settings.port)
                .setXmppDomain(settings.domain)
                .setSecurityMode(settings.security);
        if (settings.password == null) {
            builder.performSaslAnonymousAuthentication();
        } else {
            builder.setUsernameAndPassword(settings.username, settings.password);
        }
        if (settings.security == SecurityMode.disabled) {
            log.warning("XMPP security is disabled!");
        }
        if (settings.trustAll) {
            log.warning("Disabling TLS certificate verification!");
            builder.setCustomX509TrustManager(new TrustAll());
            builder.setHostnameVerifier((host, session) -> true);
        }
        if (org.jitsi.impl.protocol.xmpp.log.PacketDebugger.isEnabled()) {
            builder.setDebuggerFactory(
                    c -> new org.jitsi.impl.protocol.xmpp.log.PacketDebugger(c, settings.name));
        }
        return builder.build();
    }

    public XMPPTCPConnection connection() {
        return connection;
    }

    public Settings settings() {
        return settings;
    }

    /** Number of the current stream: goes up with every login that does not resume an earlier one. */
    public int stream() {
        return stream;
    }

    public boolean loggedIn() {
        return connection.isAuthenticated();
    }

    public void addListener(Listener listener) {
        listeners.add(listener);
        if (loggedIn()) {
            events.add(() -> listener.authenticated(false));
        }
    }

    public synchronized void start() {
        stopped = false;
        schedule(Duration.ZERO);
    }

    public void stop() {
        synchronized (this) {
            stopped = true;
            if (attempt != null) {
                attempt.cancel(false);
            }
        }
        connection.disconnect();
    }

    private synchronized void schedule(Duration pause) {
        if (!stopped && (attempt == null || attempt.isDone())) {
            attempt = Periodic.after(pause, () -> Periodic.io(this::connect));
        }
    }

    private void connect() {
        synchronized (this) {
            // This attempt is under way: when it fails at once, the next one must not take it for one to come.
            attempt = null;
        }
        synchronized (connection) {
            try {
                if (!connection.isConnected()) {
                    connection.connect();
                    log.info("Connected to " + settings.host + ":" + settings.port + " for " + settings.domain);
                }
                if (settings.anonymous) {
                    if (!connection.isAuthenticated()) {
                        connection.login();
                    }
                } else if (settings.password == null) {
                    log.warning("No password is configured: connected, but not logging in.");
                } else if (!connection.isAuthenticated()) {
                    Resourcepart resource =
                            settings.resource == null ? null : Resourcepart.from(settings.resource);
                    connection.login(settings.username, settings.password, resource);
                }
                failures = 0;
            } catch (Exception e) {
                if (e instanceof InterruptedException) {
                    return;
                }
                failures++;
                log.log(Level.SEVERE, "Failed to connect/login: " + e.getMessage(), e);
                if (connection.isConnected()) {
                    connection.instantShutdown();
                }
                if (connection.isConnected()) {
                    forgetResumption();
                    connection.instantShutdown();
                }
                schedule(pause());
            }
        }
    }

    /**
     * Smack 4.4.8 stays connected for ever, and so never connects again, when a stream that could be resumed was lost, the next
     * connection came up and was lost before the login: its shutdown() returns early. Only this private flag knows.
     */
    private void forgetResumption() {
        try {
            Field flag = XMPPTCPConnection.class.getDeclaredField("disconnectedButResumeable");
            flag.setAccessible(true);
            flag.setBoolean(connection, false);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("This is another Smack: see what its shutdown() does", e);
        }
    }

    /** 1, 2, 4, 5, 5, ... seconds. */
    private Duration pause() {
        Duration pause = Duration.ofSeconds(1L << Math.min(failures > 0 ? failures - 1 : 0, 6));
        return pause.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause;
    }

    private void gone(Exception reason) {
        boolean wanted;
        synchronized (this) {
            wanted = stopped;
        }
        if (wanted) {
            log.info("XMPP connection closed");
            return;
        }
        log.log(Level.WARNING, "XMPP connection lost: " + (reason == null ? "closed" : reason.getMessage()));
        events.add(() -> listeners.forEach(Listener::lost));
        schedule(Duration.ofSeconds(1));
    }

    /** An IQ that is on its way. */
    public static final class Question {
        private final StanzaCollector collector;

        private Question(StanzaCollector collector) {
            this.collector = collector;
        }

        /** Waits for the answer; null on timeout or without a connection. Errors come back as error IQs. */
        public IQ answer() {
            if (collector == null) {
                return null;
            }
            try {
                return collector.nextResult();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return null;
            } finally {
                collector.cancel();
            }
        }
    }

    /** Sends an IQ now and lets somebody wait for the answer later: what is sent first arrives first. */
    public Question submit(IQ request) {
        try {
            return new Question(connection.createStanzaCollectorAndSend(request));
        } catch (SmackException.NotConnectedException e) {
            log.warning("Not connected, cannot send " + request.getChildElementName());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return new Question(null);
    }

    /** Sends an IQ and waits, see {@link Question#answer()}. */
    public IQ ask(IQ request) {
        return submit(request).answer();
    }

    /** Sends a stanza; without a connection it is only logged. */
    public void send(Stanza stanza) {
        try {
            connection.sendStanza(stanza);
        } catch (SmackException.NotConnectedException e) {
            log.warning("Not connected, dropped: " + stanza.getElementName() + " to " + stanza.getTo());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static final class TrustAll implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) { }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) { }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
