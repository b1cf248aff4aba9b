// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** A STUN message (RFC 8489) with the attributes that ICE (RFC 8445) needs. */
final class Stun {
    static final int REQUEST = 0x0001;
    static final int INDICATION = 0x0011;
    static final int SUCCESS = 0x0101;
    static final int ERROR = 0x0111;

    static final int USERNAME = 0x0006;
    static final int MESSAGE_INTEGRITY = 0x0008;
    static final int ERROR_CODE = 0x0009;
    static final int XOR_MAPPED_ADDRESS = 0x0020;
    static final int MAPPED_ADDRESS = 0x0001;
    static final int PRIORITY = 0x0024;
    static final int USE_CANDIDATE = 0x0025;
    static final int SOFTWARE = 0x8022;
    static final int FINGERPRINT = 0x8028;
    static final int ICE_CONTROLLED = 0x8029;
    static final int ICE_CONTROLLING = 0x802A;

    private static final int MAGIC = 0x2112A442;
    private static final int HEADER = 20;
    private static final long FINGERPRINT_XOR = 0x5354554EL;
    private static final SecureRandom RANDOM = new SecureRandom();

    final int type;
    final byte[] transaction;
    private final Map<Integer, byte[]> attributes = new LinkedHashMap<>();
    /** As received; the integrity check runs over these bytes. */
    private byte[] raw;
    private int integrityAt = -1;

    private Stun(int type, byte[] transaction) {
        this.type = type;
        this.transaction = transaction;
    }

    static Stun request() {
        byte[] transaction = new byte[12];
        RANDOM.nextBytes(transaction);
        return new Stun(REQUEST, transaction);
    }

    Stun reply(int replyType) {
        return new Stun(replyType, transaction);
    }

    Stun put(int attribute, byte[] value) {
        attributes.put(attribute, value);
        return this;
    }

    Stun put(int attribute, String value) {
        return put(attribute, value.getBytes(StandardCharsets.UTF_8));
    }

    Stun putLong(int attribute, long value) {
        return put(attribute, ByteBuffer.allocate(8).putLong(value).array());
    }

    Stun putInt(int attribute, int value) {
        return put(attribute, ByteBuffer.allocate(4).putInt(value).array());
    }

    /** RFC 8489 section 14.8. */
    Stun putError(int code, String reason) {
        byte[] text = reason.getBytes(StandardCharsets.UTF_8);
        return put(ERROR_CODE, ByteBuffer.allocate(4 + text.length)
                .putShort((short) 0).put((byte) (code / 100)).put((byte) (code % 100)).put(text).array());
    }

    byte[] get(int attribute) {
        return attributes.get(attribute);
    }

    boolean has(int attribute) {
        return attributes.containsKey(attribute);
    }

    String text(int attribute) {
        byte[] value = attributes.get(attribute);
        return value == null ? null : new String(value, StandardCharsets.UTF_8);
    }

    /** Adds XOR-MAPPED-ADDRESS (RFC 8489 section 14.2). */
    Stun putMapped(InetSocketAddress address) {
        byte[] ip = xorAddress(address.getAddress().getAddress());
        return put(XOR_MAPPED_ADDRESS, ByteBuffer.allocate(4 + ip.length)
                .put((byte) 0).put((byte) (ip.length == 4 ? 1 : 2))
                .putShort((short) (address.getPort() ^ (MAGIC >>> 16))).put(ip).array());
    }

    /** The address the other side saw, from XOR-MAPPED-ADDRESS or MAPPED-ADDRESS; null without one. */
    InetSocketAddress mapped() {
        boolean xor = has(XOR_MAPPED_ADDRESS);
        byte[] value = get(xor ? XOR_MAPPED_ADDRESS : MAPPED_ADDRESS);
        if (value == null || value.length < 8) {
            return null;
        }
        int port = ByteBuffer.wrap(value).getShort(2) & 0xFFFF;
        byte[] ip = Arrays.copyOfRange(value, 4, value.length);
        try {
            return new InetSocketAddress(
                    InetAddress.getByAddress(xor ? xorAddress(ip) : ip), xor ? port ^ (MAGIC >>> 16) : port);
        } catch (UnknownHostException e) {
            return null;
        }
    }

    private byte[] xorAddress(byte[] ip) {
        byte[] mask = ByteBuffer.allocate(16).putInt(MAGIC).put(transaction).array();
        byte[] result = new byte[ip.length];
        for (int i = 0; i < ip.length; i++) {
            result[i] = (byte) (ip[i] ^ mask[i]);
        }
        return result;
    }

    /** Null when the bytes are no STUN message, or one whose FINGERPRINT is wrong. */
    static Stun parse(byte[] data, int length) {
        if (length < HEADER || (data[0] & 0xC0) != 0) {
            return null;
        }
        ByteBuffer in = ByteBuffer.wrap(data, 0, length);
        int type = in.getShort();
        int size = in.getShort() & 0xFFFF;
        if (in.getInt() != MAGIC || size % 4 != 0 || HEADER + size != length) {
            return null;
        }
        byte[] transaction = new byte[12];
        in.get(transaction);
        Stun message = new Stun(type, transaction);
        message.raw = Arrays.copyOf(data, length);
        while (in.remaining() >= 4) {
            int at = in.position();
            int attribute = in.getShort() & 0xFFFF;
            int valueSize = in.getShort() & 0xFFFF;
            int padded = (valueSize + 3) & ~3;
            if (padded > in.remaining()) {
                return null;
            }
            byte[] value = new byte[valueSize];
            in.get(value);
            in.position(at + 4 + padded);
            if (attribute == FINGERPRINT) {
                boolean intact = valueSize == 4
                        && (ByteBuffer.wrap(value).getInt() & 0xFFFFFFFFL) == fingerprint(message.raw, at);
                return intact ? message : null;
            }
            // Attributes after MESSAGE-INTEGRITY are not covered by it and must be ignored.
            if (message.integrityAt < 0) {
                if (attribute == MESSAGE_INTEGRITY) {
                    message.integrityAt = at;
                }
                message.attributes.putIfAbsent(attribute, value);
            }
        }
        return message;
    }

    /** Whether MESSAGE-INTEGRITY is present and made with this password (short-term credential). */
    boolean authentic(String password) {
        if (integrityAt < 0) {
            return false;
        }
        byte[] covered = Arrays.copyOf(raw, integrityAt);
        setLength(covered, integrityAt - HEADER + 24);
        return MessageDigest.isEqual(hmac(covered, password), get(MESSAGE_INTEGRITY));
    }

    /** The bytes to send: MESSAGE-INTEGRITY when there is a password, then FINGERPRINT. */
    byte[] encode(String password) {
        int size = HEADER;
        for (byte[] value : attributes.values()) {
            size += 4 + ((value.length + 3) & ~3);
        }
        ByteBuffer out = ByteBuffer.allocate(size + 24 + 8);
        out.putShort((short) type).putShort((short) 0).putInt(MAGIC).put(transaction);
        attributes.forEach((attribute, value) -> append(out, attribute, value));
        if (password != null) {
            setLength(out.array(), out.position() - HEADER + 24);
            append(out, MESSAGE_INTEGRITY, hmac(Arrays.copyOf(out.array(), out.position()), password));
        }
        setLength(out.array(), out.position() - HEADER + 8);
        long crc = fingerprint(out.array(), out.position());
        append(out, FINGERPRINT, ByteBuffer.allocate(4).putInt((int) crc).array());
        return Arrays.copyOf(out.array(), out.position());
    }

    private static void append(ByteBuffer out, int attribute, byte[] value) {
        out.putShort((short) attribute).putShort((short) value.length).put(value);
        out.position(out.position() + (-value.length & 3));
    }

    private static void setLength(byte[] message, int size) {
        ByteBuffer.wrap(message).putShort(2, (short) size);
    }

    private static byte[] hmac(byte[] data, String password) {
        try {
            Mac mac = Mac.getInstance("HmacSHA1");
            mac.init(new SecretKeySpec(password.getBytes(StandardCharsets.UTF_8), "HmacSHA1"));
            return mac.doFinal(data);
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static long fingerprint(byte[] data, int length) {
        CRC32 crc = new CRC32();
        crc.update(data, 0, length);
        return crc.getValue() ^ FINGERPRINT_XOR;
    }
}
