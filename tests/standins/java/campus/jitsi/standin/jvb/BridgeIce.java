// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.logging.Logger;

/** What all ICE agents of the bridge share: the UDP ports, the options, the counters. */
final class BridgeIce {
    private static final Logger LOG = Logger.getLogger(BridgeIce.class.getName());

    final Addresses addresses;
    final Map<String, IceAgent> agents = new ConcurrentHashMap<>();
    final AtomicLong successes = new AtomicLong();
    final AtomicLong failures = new AtomicLong();
    final AtomicLong packets = new AtomicLong();
    final AtomicLong bytes = new AtomicLong();
    private final Conf conf;
    private final List<UdpPort> ports = new ArrayList<>();

    BridgeIce(Conf conf) {
        this.conf = conf;
        this.addresses = new Addresses(conf);
    }

    /** Binds every usable address. One that cannot be bound is only logged; health fails when none could. */
    void bind() {
        String legacyPort = conf.legacy("org.jitsi.videobridge.SINGLE_PORT_HARVESTER_PORT");
        int number = legacyPort == null ? conf.integer("videobridge.ice.udp.port") : Integer.parseInt(legacyPort);
        int buffer = conf.integer("ice4j.harvest.udp.receive-buffer-size", 0);
        for (InetAddress address : addresses.local()) {
            InetSocketAddress local = new InetSocketAddress(address, number);
            try {
                ports.add(new UdpPort(local, buffer, agents));
            } catch (IOException e) {
                LOG.info("Failed to bind UDP " + local + ": " + e);
            }
        }
        if (ports.isEmpty()) {
            LOG.warning("No single-port harvesters created.");
        }
    }

    List<UdpPort> ports() {
        return ports;
    }

    void close() {
        ports.forEach(UdpPort::close);
    }

    boolean hasPublicAddress() {
        return ports.stream().anyMatch(port -> Addresses.isPublic(port.local.getAddress()))
                || addresses.mappings().stream().anyMatch(mapping -> Addresses.isPublic(mapping.visible));
    }

    String ufragPrefix() {
        String prefix = conf.optString("videobridge.ice.ufrag-prefix");
        return prefix == null ? "" : prefix;
    }

    boolean advertisePrivate() {
        return conf.flag("videobridge.ice.advertise-private-candidates");
    }

    boolean resolveNames() {
        return conf.flag("videobridge.ice.resolve-remote-candidates");
    }

    boolean redact() {
        return conf.flag("ice4j.redact-remote-addresses");
    }

    String software() {
        return conf.string("ice4j.software");
    }
}
