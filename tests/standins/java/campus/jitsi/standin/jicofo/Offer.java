// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Xml;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The contents of a session-initiate (XEP-0166, XEP-0167, XEP-0293, XEP-0294): audio, video and data with the codecs
 * and header extensions of {@code jicofo.codec}, reduced to what the client announced.
 */
final class Offer {
    private static final String RTCP_FB = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
    private static final String HDREXT = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
    private static final String TCC_URI =
            "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

    private final Conf conf;
    private final Set<String> features;

    Offer(JicofoConfig config, Set<String> features) {
        this.conf = config.conf;
        this.features = features;
    }

    private boolean on(String codec) {
        return conf.flag("jicofo.codec." + codec + ".enabled");
    }

    private int pt(String codec) {
        return conf.integer("jicofo.codec." + codec + ".pt");
    }

    private boolean tcc() {
        return conf.flag("jicofo.codec.rtp-extensions.tcc.enabled") && features.contains(Features.TCC);
    }

    /** @param sctp whether the installation uses data channels at all */
    List<Xml> contents(boolean sctp) {
        List<Xml> contents = new ArrayList<>();
        if (features.contains(Features.AUDIO)) {
            Xml audio = content("audio");
            Xml description = audio.first("description").attr("maxptime", "60");
            audioCodecs(description);
            audioExtensions(description);
            extmapAllowMixed(description);
            contents.add(audio);
        }
        if (features.contains(Features.VIDEO)) {
            Xml video = content("video");
            Xml description = video.first("description");
            videoCodecs(description);
            videoExtensions(description);
            extmapAllowMixed(description);
            contents.add(video);
        }
        if (sctp && features.contains(Features.SCTP)) {
            contents.add(content("data"));
        }
        return contents;
    }

    private static Xml content(String name) {
        Xml content = Xml.of("content", Jingle.NS)
                .attr("creator", "initiator").attr("name", name).attr("senders", "both");
        content.child("description", Sources.RTP).attr("media", name.equals("data") ? "application" : name);
        return content;
    }

    private static Xml codec(Xml description, int id, String name, int clockrate) {
        return description.child("payload-type").attr("id", id).attr("name", name).attr("clockrate", clockrate);
    }

    private static void parameter(Xml codec, String name, Object value) {
        codec.child("parameter").attr("name", name).attr("value", value);
    }

    private static void feedback(Xml codec, String type, String subtype) {
        codec.child("rtcp-fb", RTCP_FB).attr("type", type).attr("subtype", subtype);
    }

    private void audioCodecs(Xml description) {
        if (on("audio.opus")) {
            boolean red = on("audio.opus.red");
            if (red && features.contains(Features.OPUS_RED)) {
                Xml codec = codec(description, pt("audio.opus.red"), "red", 48000).attr("channels", 2);
                parameter(codec, null, pt("audio.opus") + "/" + pt("audio.opus"));
            }
            Xml opus = codec(description, pt("audio.opus"), "opus", 48000).attr("channels", 2);
            parameter(opus, "minptime", conf.integer("jicofo.codec.audio.opus.minptime"));
            if (conf.flag("jicofo.codec.audio.opus.use-inband-fec") && !red) {
                parameter(opus, "useinbandfec", "1");
            }
            if (tcc()) {
                feedback(opus, "transport-cc", null);
            }
        }
        if (on("audio.telephone-event")) {
            codec(description, pt("audio.telephone-event"), "telephone-event", 8000);
        }
    }

    private void videoCodecs(Xml description) {
        for (String[] codec : new String[][] {{"av1", "AV1"}, {"vp8", "VP8"}, {"h264", "H264"}, {"vp9", "VP9"}}) {
            if (!on("video." + codec[0])) {
                continue;
            }
            Xml element = codec(description, pt("video." + codec[0]), codec[1], 90000);
            feedback(element, "ccm", "fir");
            feedback(element, "nack", null);
            feedback(element, "nack", "pli");
            if (conf.flag("jicofo.codec.video." + codec[0] + ".enable-remb") && features.contains(Features.REMB)
                    && !tcc()) {
                feedback(element, "goog-remb", null);
            }
            if (tcc()) {
                feedback(element, "transport-cc", null);
            }
            if (codec[0].equals("h264")) {
                parameter(element, "profile-level-id", "42e01f;level-asymmetry-allowed=1;packetization-mode=1;");
            }
        }
        if (!features.contains(Features.RTX)) {
            return;
        }
        for (String codec : List.of("av1", "vp8", "vp9", "h264")) {
            String rtxPath = "jicofo.codec.video." + codec + ".rtx-pt";
            if (on("video." + codec) && conf.has(rtxPath) && conf.integer(rtxPath) > 0) {
                Xml rtx = codec(description, conf.integer(rtxPath), "rtx", 90000);
                parameter(rtx, "apt", pt("video." + codec));
                if (!codec.equals("h264")) {
                    feedback(rtx, "ccm", "fir");
                    feedback(rtx, "nack", null);
                    feedback(rtx, "nack", "pli");
                }
            }
        }
    }

    private void extension(Xml description, String option, String uri) {
        String base = "jicofo.codec.rtp-extensions." + option;
        if (conf.flag(base + ".enabled")) {
            description.child("rtp-hdrext", HDREXT).attr("id", conf.integer(base + ".id")).attr("uri", uri);
        }
    }

    private void audioExtensions(Xml description) {
        extension(description, "audio-level", "urn:ietf:params:rtp-hdrext:ssrc-audio-level");
        extension(description, "mid", "urn:ietf:params:rtp-hdrext:sdes:mid");
        if (tcc()) {
            extension(description, "tcc", TCC_URI);
        }
    }

    private void videoExtensions(Xml description) {
        extension(description, "video-layers-allocation",
                "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00");
        extension(description, "av1-dependency-descriptor",
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension");
        extension(description, "tof", "urn:ietf:params:rtp-hdrext:toffset");
        extension(description, "mid", "urn:ietf:params:rtp-hdrext:sdes:mid");
        extension(description, "abs-send-time", "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time");
        extension(description, "framemarking", "http://tools.ietf.org/html/draft-ietf-avtext-framemarking-07");
        extension(description, "video-content-type",
                "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type");
        extension(description, "rid", "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id");
        if (tcc()) {
            extension(description, "tcc", TCC_URI);
        }
    }

    private void extmapAllowMixed(Xml description) {
        if (conf.flag("jicofo.codec.rtp-extensions.extmap-allow-mixed")) {
            description.child("extmap-allow-mixed", HDREXT);
        }
    }

    /** The colibri2 media of these contents: the same codecs and extensions, for the bridge. */
    static List<Xml> media(List<Xml> contents) {
        List<Xml> result = new ArrayList<>();
        for (Xml content : contents) {
            if (content.attr("name").equals("data")) {
                continue;
            }
            Xml media = Xml.of("media", ColibriSession.NS).attr("type", content.attr("name"));
            content.first("description").children().forEach(child -> media.add(child.copy()));
            result.add(media);
        }
        return result;
    }

    /** Puts the bridge's transport into every content; data also gets the SCTP port (XEP-0343). */
    static void addTransport(List<Xml> contents, Xml bridgeTransport, String sctpPort) {
        for (Xml content : contents) {
            Xml transport = bridgeTransport.copy();
            if (content.attr("name").equals("data")) {
                transport.child("sctpmap", "urn:xmpp:jingle:transports:dtls-sctp:1")
                        .attr("number", sctpPort).attr("protocol", "webrtc-datachannel").attr("streams", "1024");
            }
            content.add(transport);
            content.first("description").child("rtcp-mux");
        }
    }
}
