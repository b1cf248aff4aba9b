// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import campus.jitsi.standin.common.Periodic;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.logging.Logger;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/**
 * Messages to and from one registrar over UDP, TCP or TLS, and from others who call. TLS is verified against the registrar's domain with
 * Java's trust store.
 */
final class SipTransport {
    private static final Logger LOG = Logger.getLogger(SipTransport.class.getName());

    /** Where an answer to a message goes. */
    interface Way {
        void send(SipMessage message) throws IOException;
    }

    /** Told of messages, and that the connection to the registrar is gone. */
    interface Listener {
        void received(SipMessage message, Way back);

        void lost(String why);
    }

    final String protocol;
    private final String domain;
    private final InetSocketAddress registrar;
    private final Listener listener;
    private DatagramSocket datagrams;
    private int port;
    private Connection connection;

    private final class Connection implements Way {
        final Socket socket;

        Connection(Socket socket) {
            this.socket = socket;
        }

        @Override
        public synchronized void send(SipMessage message) throws IOException {
            socket.getOutputStream().write(message.bytes());
            socket.getOutputStream().flush();
        }

        void read() {
            String why = "closed by the other side";
            try {
                InputStream in = socket.getInputStream();
                while (true) {
                    SipMessage message = next(in);
                    if (message == null) {
                        break;
                    }
                    listener.received(message, this);
                }
            } catch (IOException e) {
                why = String.valueOf(e.getMessage());
            }
            try {
                socket.close();
            } catch (IOException e) {
                LOG.fine(e.getMessage());
            }
            boolean ours;
            synchronized (SipTransport.this) {
                ours = connection == this;
                if (ours) {
                    connection = null;
                }
            }
            if (ours) {
                listener.lost(why);
            }
        }
    }

    SipTransport(String protocol, String domain, InetSocketAddress registrar, int port, Listener listener) throws IOException {
        this.protocol = protocol;
        this.domain = domain;
        this.registrar = registrar;
        this.port = port;
        this.listener = listener;
        if (protocol.equals("UDP")) {
            try {
                datagrams = new DatagramSocket(port);
            } catch (IOException e) {
                // The real stack takes another one, too.
                LOG.warning("Cannot bind port " + port + "/udp: " + e.getMessage());
                datagrams = new DatagramSocket();
                this.port = datagrams.getLocalPort();
            }
            thread(this::readDatagrams);
        } else if (protocol.equals("TCP")) {
            ServerSocket server = new ServerSocket(port);
            thread(() -> accept(server));
        }
        LOG.info("SIP over " + protocol + " on port " + this.port);
    }

    private static void thread(Runnable work) {
        Thread thread = new Thread(work, "sip");
        thread.setDaemon(true);
        thread.start();
    }

    private void readDatagrams() {
        byte[] buffer = new byte[65535];
        while (true) {
            DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
            try {
                datagrams.receive(packet);
            } catch (IOException e) {
                LOG.warning("UDP: " + e.getMessage());
                return;
            }
            String text = new String(packet.getData(), 0, packet.getLength(), StandardCharsets.UTF_8);
            int end = text.indexOf("\r\n\r\n");
            if (end < 0) {
                continue; // a keep-alive
            }
            InetSocketAddress from = (InetSocketAddress) packet.getSocketAddress();
            SipMessage message = SipMessage.parse(text.substring(0, end), text.substring(end + 4));
            Periodic.io(() -> listener.received(message, answer -> datagram(answer, from)));
        }
    }

    private void datagram(SipMessage message, InetSocketAddress to) throws IOException {
        byte[] bytes = message.bytes();
        datagrams.send(new DatagramPacket(bytes, bytes.length, to));
    }

    private void accept(ServerSocket server) {
        while (true) {
            try {
                Connection incoming = new Connection(server.accept());
                thread(incoming::read);
            } catch (IOException e) {
                LOG.warning("TCP: " + e.getMessage());
                return;
            }
        }
    }

    private static SipMessage next(InputStream in) throws IOException {
        ByteArrayOutputStream head = new ByteArrayOutputStream();
        while (true) {
            int octet = in.read();
            if (octet < 0) {
                return null;
            }
            head.write(octet);
            if (octet != '\n') {
                continue;
            }
            String text = head.toString(StandardCharsets.UTF_8);
            if (text.trim().isEmpty()) {
                head.reset(); // a keep-alive
            } else if (text.endsWith("\r\n\r\n")) {
                SipMessage message = SipMessage.parse(text.trim(), "");
                String length = message.first("Content-Length");
                byte[] body = in.readNBytes(length == null ? 0 : Integer.parseInt(length.trim()));
                message.body = new String(body, StandardCharsets.UTF_8);
                return message;
            }
        }
    }

    /** Sends to the registrar; over TCP and TLS on one connection, which is made when there is none. */
    void send(SipMessage message) throws IOException {
        if (datagrams != null) {
            datagram(message, new InetSocketAddress(registrar.getHostString(), registrar.getPort()));
            return;
        }
        connect().send(message);
    }

    private synchronized Connection connect() throws IOException {
        if (connection == null) {
            Socket socket = new Socket();
            socket.connect(new InetSocketAddress(registrar.getHostString(), registrar.getPort()), 5000);
            if (protocol.equals("TLS")) {
                SSLSocket secure = (SSLSocket) ((SSLSocketFactory) SSLSocketFactory.getDefault())
                        .createSocket(socket, domain, registrar.getPort(), true);
                SSLParameters parameters = secure.getSSLParameters();
                parameters.setEndpointIdentificationAlgorithm("HTTPS");
                secure.setSSLParameters(parameters);
                secure.startHandshake();
                socket = secure;
            }
            connection = new Connection(socket);
            thread(connection::read);
        }
        return connection;
    }

    /** The address under which the registrar's side reaches us, with the port where we listen. */
    String local() throws IOException {
        String address;
        if (datagrams == null) {
            Connection now = connect();
            address = now.socket.getLocalAddress().getHostAddress();
            if (protocol.equals("TLS")) {
                return address + ":" + now.socket.getLocalPort();
            }
        } else {
            try (DatagramSocket probe = new DatagramSocket()) {
                probe.connect(new InetSocketAddress(registrar.getHostString(), registrar.getPort()));
                address = probe.getLocalAddress().getHostAddress();
            }
        }
        return address + ":" + port;
    }
}
