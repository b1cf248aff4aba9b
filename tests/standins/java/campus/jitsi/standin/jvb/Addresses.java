// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.Inet4Address;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.logging.Logger;

/**
 * Which local addresses are offered, and which public address stands for which local one: {@code ice4j.harvest.*}
 * with the semantics of ice4j's HostCandidateHarvester and MappingCandidateHarvesters.
 */
final class Addresses {
    private static final Logger LOG = Logger.getLogger(Addresses.class.getName());
    private static final String LEGACY = "org.ice4j.ice.harvest.";

    /** A public face of a local address. A port of -1 means: the same port on both sides. */
    static final class Mapping {
        final InetAddress local;
        final int localPort;
        final InetAddress visible;
        final int visiblePort;

        Mapping(InetAddress local, int localPort, InetAddress visible, int visiblePort) {
            this.local = local;
            this.localPort = localPort;
            this.visible = visible;
            this.visiblePort = visiblePort;
        }

        boolean matches(InetSocketAddress host) {
            return host.getAddress().equals(local) && (localPort < 0 || localPort == host.getPort());
        }

        InetSocketAddress visible(InetSocketAddress host) {
            return new InetSocketAddress(visible, visiblePort < 0 ? host.getPort() : visiblePort);
        }

        @Override
        public String toString() {
            return local.getHostAddress() + (localPort < 0 ? "" : ":" + localPort) + " -> "
                    + visible.getHostAddress() + (visiblePort < 0 ? "" : ":" + visiblePort);
        }
    }

    private final Conf conf;
    private final List<Mapping> statics;
    private volatile List<Mapping> mappings = List.of();
    private volatile boolean stunFailed;

    /** @throws ConfigException when a static mapping names only one of its two ports. */
    Addresses(Conf conf) {
        this.conf = conf;
        this.statics = readStatics();
    }

    private List<String> list(String legacy, String option) {
        if (conf.has(LEGACY + legacy)) {
            List<String> values = new ArrayList<>(List.of(conf.string(LEGACY + legacy).split(";")));
            values.removeIf(String::isEmpty);
            return values;
        }
        return conf.strings("ice4j.harvest." + option);
    }

    private boolean flag(String negatedLegacy, String option) {
        return conf.has(negatedLegacy) ? !conf.flag(negatedLegacy) : conf.flag("ice4j.harvest." + option);
    }

    private Set<InetAddress> addresses(String legacy, String option) {
        Set<InetAddress> addresses = new LinkedHashSet<>();
        for (String text : list(legacy, option)) {
            try {
                addresses.add(InetAddress.getByName(text));
            } catch (UnknownHostException e) {
                LOG.warning("Not an address, ignored: " + text);
            }
        }
        return addresses;
    }

    /** Addresses of the interfaces that are up, not loopback and allowed. */
    List<InetAddress> local() {
        List<String> allowedInterfaces = list("ALLOWED_INTERFACES", "allowed-interfaces");
        List<String> blockedInterfaces = list("BLOCKED_INTERFACES", "blocked-interfaces");
        Set<InetAddress> allowed = addresses("ALLOWED_ADDRESSES", "allowed-addresses");
        Set<InetAddress> blocked = addresses("BLOCKED_ADDRESSES", "blocked-addresses");
        boolean linkLocal = flag(LEGACY + "DISABLE_LINK_LOCAL_ADDRESSES", "use-link-local-addresses");
        boolean ipv6 = flag("org.ice4j.ipv6.DISABLED", "use-ipv6");
        List<InetAddress> found = new ArrayList<>();
        try {
            for (NetworkInterface card : Collections.list(NetworkInterface.getNetworkInterfaces())) {
                boolean wanted = allowedInterfaces.isEmpty()
                        ? !blockedInterfaces.contains(card.getName()) : allowedInterfaces.contains(card.getName());
                if (!wanted || card.isLoopback() || !card.isUp()) {
                    continue;
                }
                for (InetAddress address : Collections.list(card.getInetAddresses())) {
                    boolean usable = !address.isLoopbackAddress()
                            && (linkLocal || !address.isLinkLocalAddress())
                            && (ipv6 || !(address instanceof Inet6Address));
                    if (usable && (allowed.isEmpty() ? !blocked.contains(address) : allowed.contains(address))) {
                        found.add(address);
                    }
                }
            }
        } catch (SocketException e) {
            LOG.warning("Failed to get network interfaces: " + e.getMessage());
        }
        return found;
    }

    private List<Mapping> readStatics() {
        List<Mapping> found = new ArrayList<>();
        String local = conf.optString(LEGACY + "NAT_HARVESTER_LOCAL_ADDRESS");
        String visible = conf.optString(LEGACY + "NAT_HARVESTER_PUBLIC_ADDRESS");
        if (local != null && visible != null) {
            found.add(mapping(local, -1, visible, -1));
        }
        for (Config entry : conf.objects("ice4j.harvest.mapping.static-mappings")) {
            boolean localPort = entry.hasPath("local-port");
            boolean visiblePort = entry.hasPath("public-port");
            if (localPort != visiblePort) {
                throw new ConfigException.BadValue(entry.origin(), "static-mappings",
                        "local-port and public-port must both be present or both missing");
            }
            found.add(mapping(entry.getString("local-address"), localPort ? entry.getInt("local-port") : -1,
                    entry.getString("public-address"), visiblePort ? entry.getInt("public-port") : -1));
        }
        return found;
    }

    private static Mapping mapping(String local, int localPort, String visible, int visiblePort) {
        try {
            return new Mapping(InetAddress.getByName(local), localPort, InetAddress.getByName(visible), visiblePort);
        } catch (UnknownHostException e) {
            throw new ConfigException.Generic("static-mappings: " + e.getMessage(), e);
        }
    }

    /** Fills {@link #mappings}. May take seconds when STUN servers are asked. */
    void discover() {
        List<Mapping> candidates = new ArrayList<>(statics);
        String legacy = conf.optString(LEGACY + "STUN_MAPPING_HARVESTER_ADDRESSES");
        List<String> servers = legacy != null
                ? List.of(legacy.split(",")) : conf.strings("ice4j.harvest.mapping.stun.addresses");
        if (!servers.isEmpty()) {
            List<Mapping> discovered = new ArrayList<>();
            servers.forEach(server -> discovered.addAll(ask(server)));
            stunFailed = discovered.isEmpty();
            candidates.addAll(discovered);
        }
        List<Mapping> kept = new ArrayList<>();
        for (Mapping mapping : candidates) {
            boolean useless = mapping.local.equals(mapping.visible) && mapping.localPort == mapping.visiblePort;
            boolean known = kept.stream().anyMatch(
                    other -> other.local.equals(mapping.local) && other.visible.equals(mapping.visible));
            if (useless || known) {
                LOG.info("Discarding the mapping " + mapping);
            } else {
                LOG.info("Using the mapping " + mapping);
                kept.add(mapping);
            }
        }
        mappings = kept;
    }

    /** Asks one STUN server (host:port) from every local IPv4 address. */
    private List<Mapping> ask(String server) {
        String[] hostAndPort = server.split(":");
        if (hostAndPort.length < 2 || !hostAndPort[1].matches("\\d{1,5}")) {
            LOG.severe("Failed to parse STUN server address: " + server);
            return List.of();
        }
        List<Mapping> found = new ArrayList<>();
        InetSocketAddress target = new InetSocketAddress(hostAndPort[0], Integer.parseInt(hostAndPort[1]));
        for (InetAddress local : local()) {
            if (!(local instanceof Inet4Address) || target.isUnresolved()) {
                continue;
            }
            try (DatagramSocket socket = new DatagramSocket(0, local)) {
                InetSocketAddress seen = ask(socket, target);
                if (seen != null) {
                    found.add(new Mapping(local, -1, seen.getAddress(), -1));
                }
            } catch (IOException e) {
                LOG.info("STUN " + server + " from " + local.getHostAddress() + ": " + e.getMessage());
            }
        }
        if (found.isEmpty()) {
            LOG.warning("No answer from the STUN server " + server);
        }
        return found;
    }

    private static InetSocketAddress ask(DatagramSocket socket, InetSocketAddress server) throws IOException {
        Stun request = Stun.request();
        byte[] bytes = request.encode(null);
        byte[] buffer = new byte[1500];
        for (int wait = 200; wait <= 1600; wait *= 2) {
            socket.send(new DatagramPacket(bytes, bytes.length, server));
            socket.setSoTimeout(wait);
            try {
                DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                socket.receive(packet);
                Stun answer = Stun.parse(buffer, packet.getLength());
                if (answer != null && answer.type == Stun.SUCCESS
                        && java.util.Arrays.equals(answer.transaction, request.transaction)) {
                    return answer.mapped();
                }
            } catch (java.net.SocketTimeoutException e) {
                // Ask again.
            }
        }
        return null;
    }

    List<Mapping> mappings() {
        return mappings;
    }

    boolean stunFailed() {
        return stunFailed;
    }

    /** An address that a client anywhere could reach. */
    static boolean isPublic(InetAddress address) {
        return !address.isSiteLocalAddress() && !address.isLinkLocalAddress() && !address.isLoopbackAddress();
    }

    /** RFC 1918, fec0::/10 or fc00::/7. */
    static boolean isPrivate(InetAddress address) {
        byte[] bytes = address.getAddress();
        return address.isSiteLocalAddress() || bytes.length == 16 && (bytes[0] & 0xFE) == 0xFC;
    }
}
