// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.logging.Logger;

/**
 * The one UDP port that all clients share, on one local address (ice4j's SinglePortUdpHarvester). A packet from a new
 * address must be a STUN binding request whose USERNAME starts with a known local ufrag; anything else is dropped in
 * silence.
 */
final class UdpPort {
    private static final Logger LOG = Logger.getLogger(UdpPort.class.getName());

    final InetSocketAddress local;
    private final DatagramSocket socket;
    private final Map<String, IceAgent> agents;
    private final Map<InetSocketAddress, IceAgent> peers = new ConcurrentHashMap<>();

    /** @param agents all ICE agents by local ufrag, shared by all ports. */
    UdpPort(InetSocketAddress local, int receiveBuffer, Map<String, IceAgent> agents) throws IOException {
        this.local = local;
        this.agents = agents;
        this.socket = new DatagramSocket(local);
        if (receiveBuffer > 0) {
            socket.setReceiveBufferSize(receiveBuffer);
        }
        LOG.info("Bound UDP " + local + ", receive buffer " + socket.getReceiveBufferSize()
                + " (asked for " + receiveBuffer + ")");
        Thread reader = new Thread(this::read, "udp " + local);
        reader.setDaemon(true);
        reader.start();
    }

    private void read() {
        byte[] buffer = new byte[1500];
        while (!socket.isClosed()) {
            try {
                DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                socket.receive(packet);
                handle((InetSocketAddress) packet.getSocketAddress(), buffer, packet.getLength());
            } catch (IOException e) {
                if (!socket.isClosed()) {
                    LOG.severe("Failed to receive from socket: " + e);
                }
            } catch (RuntimeException e) {
                LOG.log(java.util.logging.Level.WARNING, "Dropped a packet", e);
            }
        }
    }

    private void handle(InetSocketAddress from, byte[] data, int length) {
        Stun message = Stun.parse(data, length);
        IceAgent agent = peers.get(from);
        if (message != null && message.type == Stun.REQUEST) {
            String username = message.text(Stun.USERNAME);
            IceAgent named = username == null ? null : agents.get(username.split(":")[0]);
            if (named == null) {
                return;
            }
            peers.put(from, named);
            named.request(message, from, this);
        } else if (agent != null && message != null) {
            agent.response(message, from, this);
        } else if (agent != null) {
            agent.data(length);
        }
    }

    /** Registers where an answer to one of our own checks may come from. */
    void expect(InetSocketAddress from, IceAgent agent) {
        peers.putIfAbsent(from, agent);
    }

    void forget(IceAgent agent) {
        peers.values().removeIf(other -> other == agent);
    }

    void send(byte[] data, InetSocketAddress to) {
        try {
            socket.send(new DatagramPacket(data, data.length, to));
        } catch (IOException e) {
            LOG.fine(() -> "Cannot send to " + to + ": " + e.getMessage());
        }
    }

    void close() {
        socket.close();
    }
}
