// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import java.util.Set;

/** The disco features of clients that change what they are offered (jicofo's Features.kt). */
final class Features {
    static final String AUDIO = "urn:xmpp:jingle:apps:rtp:audio";
    static final String VIDEO = "urn:xmpp:jingle:apps:rtp:video";
    static final String SCTP = "urn:xmpp:jingle:transports:dtls-sctp:1";
    static final String RTX = "urn:ietf:rfc:4588";
    static final String REMB = "http://jitsi.org/remb";
    static final String TCC = "http://jitsi.org/tcc";
    static final String JSON_SOURCES = "http://jitsi.org/json-encoded-sources";
    static final String SSRC_REWRITING = "http://jitsi.org/ssrc-rewriting-1";
    static final String MID_DEMUX = "http://jitsi.org/rtp-mid-demux";
    static final String OPUS_RED = "http://jitsi.org/opus-red";

    /** Assumed of a client that does not answer. */
    static final Set<String> DEFAULTS = Set.of(AUDIO, VIDEO, SCTP);

    private Features() {
    }
}
