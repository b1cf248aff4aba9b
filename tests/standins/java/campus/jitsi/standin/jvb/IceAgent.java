// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import java.math.BigInteger;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledFuture;
import java.util.logging.Logger;

/**
 * The ICE side of one endpoint (RFC 8445): our credentials and candidates, answers to the client's checks, and checks
 * of our own with USE-CANDIDATE, because the bridge is the controlling side. DTLS and media behind it are not spoken.
 */
final class IceAgent {
    static final String NS = "urn:xmpp:jingle:transports:ice-udp:1";

    private static final Logger LOG = Logger.getLogger(IceAgent.class.getName());
    private static final SecureRandom RANDOM = new SecureRandom();
    /** How long checks go on without an answer before ICE counts as failed. */
    private static final Duration CHECKING = Duration.ofSeconds(30);

    /** Where the connection stands. */
    enum State { NEW, CHECKING, CONNECTED, FAILED }

    private final BridgeIce ice;
    final String ufrag;
    final String password = new BigInteger(128, RANDOM).toString(32);
    private final long tieBreaker = RANDOM.nextLong();
    private boolean controlling;
    private String remoteUfrag;
    private String remotePassword;
    private final Set<InetSocketAddress> remotes = new LinkedHashSet<>();
    private final Map<BigInteger, InetSocketAddress> pending = new ConcurrentHashMap<>();
    private ScheduledFuture<?> checks;
    private Instant checkingSince;
    private volatile State state = State.NEW;
    private volatile Instant lastActivity;
    private volatile InetSocketAddress peer;

    IceAgent(BridgeIce ice, boolean controlling) {
        this.ice = ice;
        this.controlling = controlling;
        this.ufrag = ice.ufragPrefix() + new BigInteger(24, RANDOM).toString(32)
                + BigInteger.valueOf(System.currentTimeMillis()).toString(32);
        ice.agents.put(ufrag, this);
    }

    State state() {
        return state;
    }

    Instant lastActivity() {
        return lastActivity;
    }

    InetSocketAddress peer() {
        return peer;
    }

    /** Our credentials and candidates in the form of XEP-0176. */
    Xml describe(boolean privateToo) {
        Xml transport = Xml.of("transport", NS).attr("pwd", password).attr("ufrag", ufrag);
        int preference = 65535;
        for (UdpPort port : ice.ports()) {
            addCandidate(transport, "host", preference, port.local, null, privateToo);
            for (Addresses.Mapping mapping : ice.addresses.mappings()) {
                if (mapping.matches(port.local)) {
                    addCandidate(transport, "srflx", preference, mapping.visible(port.local), port.local, privateToo);
                }
            }
            preference--;
        }
        transport.child("rtcp-mux");
        return transport;
    }

    private void addCandidate(Xml transport, String type, int preference, InetSocketAddress address,
            InetSocketAddress base, boolean privateToo) {
        boolean showPrivate = privateToo || ice.advertisePrivate();
        if (Addresses.isPrivate(address.getAddress()) && !showPrivate) {
            return;
        }
        long priority = ((type.equals("host") ? 126L : 100L) << 24) + ((long) preference << 8) + 255;
        int foundation = transport.children("candidate").size() + 1;
        Xml candidate = transport.child("candidate")
                .attr("component", 1).attr("foundation", foundation).attr("generation", 0)
                .attr("id", Long.toHexString(RANDOM.nextLong())).attr("network", 0).attr("priority", priority)
                .attr("protocol", "udp").attr("type", type)
                .attr("ip", plain(address.getAddress())).attr("port", address.getPort());
        if (base != null) {
            boolean hide = !ice.advertisePrivate() && Addresses.isPrivate(base.getAddress());
            candidate.attr("rel-addr", hide ? "0.0.0.0" : plain(base.getAddress()))
                    .attr("rel-port", hide ? 9 : base.getPort());
        }
    }

    private static String plain(InetAddress address) {
        return address.getHostAddress().replaceFirst("%.*", "");
    }

    /** Takes the client's credentials and candidates; may come in pieces (trickle ICE). */
    synchronized void remote(Xml transport) {
        if (state == State.CONNECTED) {
            return;
        }
        if (transport.attr("ufrag") != null && transport.attr("pwd") != null) {
            remoteUfrag = transport.attr("ufrag");
            remotePassword = transport.attr("pwd");
        }
        for (Xml candidate : transport.children("candidate")) {
            String ip = candidate.attr("ip");
            boolean literal = ip != null && (ip.matches("[0-9.]+") || ip.contains(":"));
            // Names (mDNS) are not looked up unless videobridge.ice.resolve-remote-candidates says so.
            if ("udp".equalsIgnoreCase(candidate.attr("protocol")) && (literal || ice.resolveNames())) {
                InetSocketAddress address =
                        new InetSocketAddress(ip, Integer.parseInt(candidate.attr("port")));
                if (!address.isUnresolved()) {
                    remotes.add(address);
                }
            }
        }
        startChecks();
    }

    private void startChecks() {
        if (state == State.NEW && remoteUfrag != null) {
            state = State.CHECKING;
            checkingSince = Instant.now();
            checks = Periodic.every(Duration.ZERO, Duration.ofMillis(500), this::checkAll);
        }
    }

    private void checkAll() {
        Set<InetSocketAddress> targets;
        synchronized (this) {
            if (state != State.CHECKING) {
                return;
            }
            if (checkingSince.plus(CHECKING).isBefore(Instant.now())) {
                state = State.FAILED;
                checks.cancel(false);
                ice.failures.incrementAndGet();
                LOG.warning("ICE failed, ufrag=" + ufrag);
                return;
            }
            targets = new LinkedHashSet<>(remotes);
        }
        for (UdpPort port : ice.ports()) {
            boolean v4 = port.local.getAddress().getAddress().length == 4;
            targets.stream().filter(target -> (target.getAddress().getAddress().length == 4) == v4)
                    .forEach(target -> check(port, target));
        }
    }

    private void check(UdpPort port, InetSocketAddress target) {
        Stun request = Stun.request()
                .put(Stun.USERNAME, remoteUfrag + ":" + ufrag)
                .putInt(Stun.PRIORITY, (110 << 24) + (65535 << 8) + 255)
                .putLong(controlling ? Stun.ICE_CONTROLLING : Stun.ICE_CONTROLLED, tieBreaker);
        if (controlling) {
            request.put(Stun.USE_CANDIDATE, new byte[0]);
        }
        pending.put(new BigInteger(request.transaction), target);
        port.expect(target, this);
        port.send(request.encode(remotePassword), target);
    }

    /** Answers a client's check (RFC 8445 section 7.3), and checks back. */
    void request(Stun request, InetSocketAddress from, UdpPort port) {
        // A wrong password is told so (RFC 8489 section 9.1.3). No MESSAGE-INTEGRITY at all should be an error too, but
        // ice4j answers such a request, which was seen with the real bridge.
        if (request.has(Stun.MESSAGE_INTEGRITY) && !request.authentic(password)) {
            port.send(request.reply(Stun.ERROR).putError(401, "Wrong MESSAGE-INTEGRITY value").encode(null), from);
            return;
        }
        if (!request.has(Stun.PRIORITY)) {
            port.send(request.reply(Stun.ERROR).putError(400, "Missing PRIORITY attribute!").encode(null), from);
            return;
        }
        if (!settleRoles(request)) {
            port.send(request.reply(Stun.ERROR).putError(487, "Role Conflict").encode(password), from);
            return;
        }
        lastActivity = Instant.now();
        port.send(request.reply(Stun.SUCCESS)
                .putMapped(from)
                .put(Stun.USERNAME, request.get(Stun.USERNAME))
                .put(Stun.SOFTWARE, ice.software())
                .encode(password), from);
        boolean checkBack;
        synchronized (this) {
            remotes.add(from);
            checkBack = state == State.CHECKING;
            if (!controlling && request.has(Stun.USE_CANDIDATE)) {
                connected(from);
            }
        }
        if (checkBack) {
            check(port, from);
        }
    }

    /** False when the client must change its role; otherwise we changed ours or there was no conflict. */
    private synchronized boolean settleRoles(Stun request) {
        byte[] theirs = request.get(controlling ? Stun.ICE_CONTROLLING : Stun.ICE_CONTROLLED);
        if (theirs == null || theirs.length != 8) {
            return true;
        }
        if (Long.compareUnsigned(tieBreaker, java.nio.ByteBuffer.wrap(theirs).getLong()) >= 0) {
            return false;
        }
        controlling = !controlling;
        return true;
    }

    void response(Stun message, InetSocketAddress from, UdpPort port) {
        InetSocketAddress asked = pending.remove(new BigInteger(message.transaction));
        if (asked == null || !asked.equals(from)) {
            return;
        }
        if (message.type == Stun.SUCCESS && message.authentic(remotePassword)) {
            lastActivity = Instant.now();
            synchronized (this) {
                if (controlling) {
                    connected(from);
                }
            }
        }
    }

    private void connected(InetSocketAddress with) {
        if (state != State.CONNECTED) {
            state = State.CONNECTED;
            ice.successes.incrementAndGet();
            LOG.info("ICE connected, ufrag=" + ufrag + (ice.redact() ? "" : ", remote=" + with));
        }
        peer = with;
        pending.clear();
        if (checks != null) {
            checks.cancel(false);
        }
    }

    void data(int length) {
        lastActivity = Instant.now();
        ice.packets.incrementAndGet();
        ice.bytes.addAndGet(length);
    }

    synchronized void close() {
        ice.agents.remove(ufrag);
        if (checks != null) {
            checks.cancel(false);
        }
        ice.ports().forEach(port -> port.forget(this));
    }
}
