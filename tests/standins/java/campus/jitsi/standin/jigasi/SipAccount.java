// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import campus.jitsi.standin.common.Periodic;
import java.io.IOException;
import java.math.BigInteger;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * One SIP account, as an account of the stack in jigasi: registers, keeps the registration, comes back after a loss with pauses that grow,
 * and gives up on a wrong password.
 */
final class SipAccount implements SipTransport.Listener {
    private static final Logger LOG = Logger.getLogger(SipAccount.class.getName());
    private static final int EXPIRES = 600;
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(5);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);

    /** What comes in from the network and is no answer to us. */
    interface Calls {
        void request(SipMessage request, SipTransport.Way back);
    }

    final String user;
    final String domain;
    final String protocol;
    private final String password;
    private final String login;
    private final InetSocketAddress registrar;
    private final int keepAlive;
    private final SipTransport transport;
    private final Map<String, BlockingQueue<SipMessage>> transactions = new ConcurrentHashMap<>();
    private final String callId = random() + "@jigasi";
    private final String tag = random();
    private int cseq;
    private Calls calls;
    private ScheduledFuture<?> next;
    private ScheduledFuture<?> alive;
    private Duration pause = FIRST_PAUSE;
    private volatile boolean registered;
    private volatile boolean givenUp;
    private String shown = "Unregistered";

    SipAccount(Map<String, String> account, int clearPort, int securePort) throws IOException {
        String[] address = account.get("USER_ID").split("@");
        user = address[0];
        domain = address.length > 1 ? address[1] : account.get("SERVER_ADDRESS");
        login = account.getOrDefault("AUTHORIZATION_NAME", user);
        password = decoded(account.getOrDefault("PASSWORD", ""));
        protocol = account.getOrDefault("PREFERRED_TRANSPORT", "UDP").toUpperCase();
        if (!protocol.matches("UDP|TCP|TLS")) {
            throw new IOException("No such transport: " + protocol);
        }
        boolean proxy = "false".equals(account.get("PROXY_AUTO_CONFIG")) && account.get("PROXY_ADDRESS") != null;
        int port = protocol.equals("TLS") ? 5061 : 5060;
        // The real one asks DNS for a service first.
        registrar = InetSocketAddress.createUnresolved(proxy ? account.get("PROXY_ADDRESS") : account.getOrDefault("SERVER_ADDRESS", domain),
                proxy ? Integer.parseInt(account.getOrDefault("PROXY_PORT", "" + port)) : port);
        keepAlive = "NONE".equals(account.get("KEEP_ALIVE_METHOD")) ? 0 : Integer.parseInt(account.getOrDefault("KEEP_ALIVE_INTERVAL", "25"));
        transport = new SipTransport(protocol, domain, registrar, protocol.equals("TLS") ? securePort : clearPort, this);
    }

    private static String decoded(String text) {
        try {
            return new String(Base64.getDecoder().decode(text), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            LOG.severe("The PASSWORD of the SIP account is no base64.");
            return text;
        }
    }

    static String random() {
        return Long.toHexString(ThreadLocalRandom.current().nextLong() & Long.MAX_VALUE);
    }

    void start(Calls listener) {
        calls = listener;
        schedule(Duration.ZERO);
    }

    boolean registered() {
        return registered;
    }

    String uri() {
        return "sip:" + user + "@" + domain;
    }

    String localHost() throws IOException {
        String local = transport.local();
        return local.substring(0, local.lastIndexOf(':'));
    }

    String contact() throws IOException {
        return "<sip:" + user + "@" + transport.local() + ";transport=" + protocol.toLowerCase() + ">";
    }

    String via() throws IOException {
        return "SIP/2.0/" + protocol + " " + transport.local() + ";rport;branch=z9hG4bK" + random();
    }

    // ---- registration -------------------------------------------------------------------------------------------

    private synchronized void schedule(Duration delay) {
        if (next != null) {
            next.cancel(false);
        }
        if (!givenUp) {
            next = Periodic.after(delay, () -> Periodic.io(this::register));
        }
    }

    private SipMessage register(String authorization) throws IOException {
        SipMessage request = new SipMessage("REGISTER sip:" + domain + " SIP/2.0")
                .add("Via", via()).add("Max-Forwards", 70).add("From", "<" + uri() + ">;tag=" + tag).add("To", "<" + uri() + ">")
                .add("Call-ID", callId).add("CSeq", ++cseq + " REGISTER").add("Contact", contact()).add("Expires", EXPIRES)
                .add("User-Agent", "jigasi (campus.jitsi stand-in)");
        if (authorization != null) {
            request.add("Authorization", authorization);
        }
        return request;
    }

    private synchronized void register() {
        String who = uri() + " (" + protocol + ")";
        try {
            SipMessage answer = ask(register(null));
            if (answer != null && (answer.status() == 401 || answer.status() == 407)) {
                answer = ask(register(authorization(answer, "REGISTER", "sip:" + domain)));
                if (answer != null && (answer.status() == 401 || answer.status() == 403 || answer.status() == 407)) {
                    givenUp = true;
                    registered = false;
                    LOG.severe("Wrong username or password for provider:" + who);
                    changed(who, "Authentication Failed", answer.start);
                    return;
                }
            }
            if (answer == null || answer.status() >= 300) {
                failed(who, answer == null ? "no answer" : answer.start);
                return;
            }
            long seconds = expires(answer);
            if (!registered) {
                changed(who, "Registered", null);
            }
            registered = true;
            pause = FIRST_PAUSE;
            schedule(Duration.ofMillis(seconds * 850));
            watch();
        } catch (IOException e) {
            failed(who, String.valueOf(e.getMessage()));
        }
    }

    /** In the words of the real one. */
    private void changed(String who, String state, String reason) {
        LOG.info("REG STATE CHANGE ProtocolProviderServiceSipImpl(" + who + ") -> RegistrationStateChangeEvent[ oldState=" + shown + "; newState="
                + "RegistrationState=" + state + "; userRequest=false; reasonCode=-1; reason=" + reason + "]");
        shown = state;
    }

    private void failed(String who, String why) {
        registered = false;
        changed(who, "Connection Failed", why);
        LOG.info("Next try of " + who + " in " + pause.toSeconds() + " s");
        schedule(pause);
        pause = pause.multipliedBy(2).compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : pause.multipliedBy(2);
    }

    private long expires(SipMessage answer) throws IOException {
        for (String value : answer.all("Contact")) {
            for (String one : value.split(",(?=\\s*<)")) {
                String found = one.contains(transport.local()) ? SipMessage.parameter(one, "expires") : null;
                if (found != null) {
                    return Long.parseLong(found);
                }
            }
        }
        return answer.first("Expires") == null ? EXPIRES : Long.parseLong(answer.first("Expires"));
    }

    private synchronized void watch() {
        if (keepAlive > 0 && alive == null) {
            Duration interval = Duration.ofSeconds(keepAlive);
            alive = Periodic.every(interval, interval, () -> Periodic.io(this::ping));
        }
    }

    private void ping() {
        if (!registered) {
            return;
        }
        try {
            SipMessage answer = ask(new SipMessage("OPTIONS sip:" + domain + " SIP/2.0")
                    .add("Via", via()).add("Max-Forwards", 70).add("From", "<" + uri() + ">;tag=" + random()).add("To", "<sip:" + domain + ">")
                    .add("Call-ID", random() + "@jigasi").add("CSeq", "1 OPTIONS"));
            if (answer == null) {
                lost("no answer to OPTIONS");
            }
        } catch (IOException e) {
            lost(String.valueOf(e.getMessage()));
        }
    }

    @Override
    public void lost(String why) {
        if (registered) {
            synchronized (this) {
                failed(uri() + " (" + protocol + ")", why);
            }
        }
    }

    // ---- messages -----------------------------------------------------------------------------------------------

    @Override
    public void received(SipMessage message, SipTransport.Way back) {
        if (message.isRequest()) {
            calls.request(message, back);
            return;
        }
        BlockingQueue<SipMessage> waiting = transactions.get(message.branch() + message.cseqMethod());
        if (waiting != null) {
            waiting.add(message);
        }
    }

    void send(SipMessage message) throws IOException {
        transport.send(message);
    }

    /** A request on its way, with the answers to it. */
    final class Transaction {
        final SipMessage request;
        private final BlockingQueue<SipMessage> answers = new LinkedBlockingQueue<>();

        Transaction(SipMessage request) throws IOException {
            this.request = request;
            transactions.put(request.branch() + request.method(), answers);
            SipAccount.this.send(request);
        }

        /** The next answer; over UDP the request is said again until there is one. Null when none comes. */
        SipMessage next(Duration longest, boolean again) throws IOException {
            long end = System.nanoTime() + longest.toNanos();
            long wait = protocol.equals("UDP") && again ? 500 : longest.toMillis();
            try {
                while (System.nanoTime() < end) {
                    SipMessage answer = answers.poll(wait, TimeUnit.MILLISECONDS);
                    if (answer != null) {
                        return answer;
                    }
                    if (protocol.equals("UDP") && again && System.nanoTime() < end) {
                        SipAccount.this.send(request);
                        wait = Math.min(wait * 2, 4000);
                    }
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            return null;
        }

        void end() {
            transactions.remove(request.branch() + request.method());
        }
    }

    /** Sends a request that is no INVITE and waits for its final answer; null when none comes. */
    SipMessage ask(SipMessage request) throws IOException {
        Transaction transaction = new Transaction(request);
        try {
            SipMessage answer;
            do {
                answer = transaction.next(Duration.ofSeconds(8), true);
            } while (answer != null && answer.status() < 200);
            return answer;
        } finally {
            transaction.end();
        }
    }

    /** The credentials that a refusal asks for (RFC 2617, MD5, with `auth` when it is offered). */
    String authorization(SipMessage refusal, String method, String uri) {
        String challenge = refusal.first(refusal.status() == 407 ? "Proxy-Authenticate" : "WWW-Authenticate");
        String realm = part(challenge, "realm");
        String nonce = part(challenge, "nonce");
        String ha1 = md5(login + ":" + realm + ":" + password);
        String ha2 = md5(method + ":" + uri);
        StringBuilder out = new StringBuilder("Digest username=\"" + login + "\", realm=\"" + realm + "\", nonce=\"" + nonce + "\", uri=\"" + uri
                + "\", algorithm=MD5");
        if (String.valueOf(part(challenge, "qop")).contains("auth")) {
            String cnonce = random();
            out.append(", qop=auth, nc=00000001, cnonce=\"").append(cnonce).append("\", response=\"")
                    .append(md5(ha1 + ":" + nonce + ":00000001:" + cnonce + ":auth:" + ha2)).append('"');
        } else {
            out.append(", response=\"").append(md5(ha1 + ":" + nonce + ":" + ha2)).append('"');
        }
        if (part(challenge, "opaque") != null) {
            out.append(", opaque=\"").append(part(challenge, "opaque")).append('"');
        }
        return out.toString();
    }

    private static String part(String challenge, String name) {
        Matcher matcher = Pattern.compile("[\\s,]" + name + "=(?:\"([^\"]*)\"|([^,\\s]+))").matcher(challenge);
        return matcher.find() ? matcher.group(1) != null ? matcher.group(1) : matcher.group(2) : null;
    }

    private static String md5(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("MD5").digest(text.getBytes(StandardCharsets.UTF_8));
            return String.format("%032x", new BigInteger(1, digest));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
