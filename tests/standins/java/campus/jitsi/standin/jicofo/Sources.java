// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Xml;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/** The SSRCs and SSRC groups (XEP-0339) that one endpoint sends, in the three forms that travel. */
final class Sources {
    static final String SSMA = "urn:xmpp:jingle:apps:rtp:ssma:0";
    static final String RTP = "urn:xmpp:jingle:apps:rtp:1";

    /** One SSRC. */
    static final class Source {
        final long ssrc;
        final String media;
        final String name;
        final String msid;
        final String videoType;

        Source(long ssrc, String media, String name, String msid, String videoType) {
            this.ssrc = ssrc;
            this.media = media;
            this.name = name;
            this.msid = msid;
            this.videoType = videoType;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Source && ((Source) other).ssrc == ssrc;
        }

        @Override
        public int hashCode() {
            return Long.hashCode(ssrc);
        }
    }

    /** A SIM or FID group. */
    static final class Group {
        final String semantics;
        final String media;
        final List<Long> ssrcs;

        Group(String semantics, String media, List<Long> ssrcs) {
            this.semantics = semantics;
            this.media = media;
            this.ssrcs = ssrcs;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Group && ((Group) other).semantics.equals(semantics)
                    && ((Group) other).ssrcs.equals(ssrcs);
        }

        @Override
        public int hashCode() {
            return Objects.hash(semantics, ssrcs);
        }
    }

    final Set<Source> sources = new LinkedHashSet<>();
    final Set<Group> groups = new LinkedHashSet<>();

    boolean isEmpty() {
        return sources.isEmpty();
    }

    void add(Sources more) {
        sources.addAll(more.sources);
        groups.addAll(more.groups);
    }

    void remove(Sources less) {
        sources.removeAll(less.sources);
        groups.removeAll(less.groups);
    }

    /** Reads the sources of Jingle contents. */
    static Sources fromJingle(List<Xml> contents) {
        Sources result = new Sources();
        for (Xml content : contents) {
            Xml description = content.first("description");
            String media = description != null && description.attr("media") != null
                    ? description.attr("media") : content.attr("name");
            if (!"audio".equals(media) && !"video".equals(media)) {
                continue;
            }
            for (Xml parent : description == null ? List.of(content) : List.of(content, description)) {
                read(parent, media, result);
            }
        }
        return result;
    }

    private static void read(Xml parent, String media, Sources result) {
        for (Xml source : parent.children("source")) {
            if (source.attr("ssrc") == null) {
                continue;
            }
            String msid = null;
            for (Xml parameter : source.children("parameter")) {
                if ("msid".equals(parameter.attr("name"))) {
                    msid = parameter.attr("value");
                }
            }
            result.sources.add(new Source(Long.parseLong(source.attr("ssrc")), media, source.attr("name"), msid,
                    source.attr("videoType")));
        }
        for (Xml group : parent.children("ssrc-group")) {
            List<Long> ssrcs = new ArrayList<>();
            group.children("source").forEach(source -> ssrcs.add(Long.parseLong(source.attr("ssrc"))));
            if (!ssrcs.isEmpty()) {
                result.groups.add(new Group(group.attr("semantics"), media, ssrcs));
            }
        }
    }

    /** What the bridge says it will send itself ({@code <sources>} of conference-modified). */
    static Sources fromBridge(Xml sources) {
        Sources result = new Sources();
        if (sources == null) {
            return result;
        }
        for (Xml mediaSource : sources.children("media-source")) {
            String media = mediaSource.attr("type");
            for (Xml source : mediaSource.children("source")) {
                result.sources.add(new Source(Long.parseLong(source.attr("ssrc")), media, source.attr("name"),
                        "mixedmslabel mixedlabel" + media + "0", null));
            }
        }
        return result;
    }

    /** For the bridge: one media-source per source name. */
    Xml toColibri(String endpoint) {
        Xml result = Xml.of("sources", ColibriSession.NS);
        Map<String, Xml> bySourceName = new LinkedHashMap<>();
        for (Source source : sources) {
            mediaSource(result, bySourceName, endpoint, source).child("source", SSMA)
                    .attr("ssrc", source.ssrc).attr("name", source.name).attr("videoType", source.videoType);
        }
        for (Group group : groups) {
            for (Source source : sources) {
                if (!group.ssrcs.isEmpty() && group.ssrcs.get(0) == source.ssrc) {
                    mediaSource(result, bySourceName, endpoint, source).add(group(group));
                }
            }
        }
        return result;
    }

    private static Xml mediaSource(Xml parent, Map<String, Xml> known, String endpoint, Source source) {
        String id = source.name != null ? source.name : endpoint + "-" + source.media.charAt(0) + "0";
        return known.computeIfAbsent(id,
                name -> parent.child("media-source").attr("type", source.media).attr("id", name));
    }

    private static Xml group(Group group) {
        Xml element = Xml.of("ssrc-group", SSMA).attr("semantics", group.semantics);
        group.ssrcs.forEach(ssrc -> element.child("source").attr("ssrc", ssrc));
        return element;
    }

    /** Adds these sources to the descriptions of audio and video contents, creating contents where none is given. */
    static void toContents(Map<String, Sources> byOwner, List<Xml> contents) {
        byOwner.forEach((owner, set) -> {
            for (Source source : set.sources) {
                Xml element = Xml.of("source", SSMA).attr("ssrc", source.ssrc).attr("name", source.name)
                        .attr("videoType", source.videoType);
                element.child("ssrc-info", "http://jitsi.org/jitmeet").attr("owner", owner);
                if (source.msid != null) {
                    element.child("parameter", RTP).attr("name", "msid").attr("value", source.msid);
                }
                description(contents, source.media).add(element);
            }
            set.groups.forEach(group -> description(contents, group.media).add(group(group)));
        });
    }

    private static Xml description(List<Xml> contents, String media) {
        for (Xml content : contents) {
            if (media.equals(content.attr("name"))) {
                Xml description = content.first("description");
                return description != null ? description : content.child("description", RTP).attr("media", media);
            }
        }
        Xml content = Xml.of("content", Jingle.NS).attr("name", media).attr("creator", "initiator");
        contents.add(content);
        return content.child("description", RTP).attr("media", media);
    }

    /** The compact JSON form for clients that announce it (lib-jitsi-meet: json-encoded-sources). */
    static Xml toJson(Map<String, Sources> byOwner) {
        StringBuilder json = new StringBuilder("{\"sources\":{");
        String comma = "";
        for (Map.Entry<String, Sources> entry : byOwner.entrySet()) {
            json.append(comma).append('"').append(entry.getKey()).append("\":").append(entry.getValue().compact());
            comma = ",";
        }
        return Xml.of("json-message", "http://jitsi.org/jitmeet").text(json.append("}}").toString());
    }

    /** Video sources, video groups, audio sources and, only when there are some, audio groups. */
    private String compact() {
        String audioGroups = groupsOf("audio");
        return "[" + sourcesOf("video") + "," + groupsOf("video") + "," + sourcesOf("audio")
                + (audioGroups.equals("[]") ? "" : "," + audioGroups) + "]";
    }

    private String sourcesOf(String media) {
        List<String> items = new ArrayList<>();
        for (Source source : sources) {
            if (source.media.equals(media)) {
                items.add("{\"s\":" + source.ssrc
                        + (source.name == null ? "" : ",\"n\":\"" + source.name + "\"")
                        + (source.msid == null ? "" : ",\"m\":\"" + source.msid + "\"")
                        + ("desktop".equalsIgnoreCase(source.videoType) ? ",\"v\":\"d\"" : "") + "}");
            }
        }
        return "[" + String.join(",", items) + "]";
    }

    private String groupsOf(String media) {
        List<String> items = new ArrayList<>();
        for (Group group : groups) {
            if (group.media.equals(media)) {
                StringBuilder item = new StringBuilder("[\"")
                        .append("SIM".equalsIgnoreCase(group.semantics) ? "s" : "f").append('"');
                group.ssrcs.forEach(ssrc -> item.append(',').append(ssrc));
                items.add(item.append(']').toString());
            }
        }
        return "[" + String.join(",", items) + "]";
    }

    /** What receivers are told of a simulcast sender: the first layer and its retransmissions only. */
    Sources withoutSimulcast() {
        Set<Long> dropped = new LinkedHashSet<>();
        for (Group group : groups) {
            if ("SIM".equalsIgnoreCase(group.semantics)) {
                dropped.addAll(group.ssrcs.subList(Math.min(1, group.ssrcs.size()), group.ssrcs.size()));
            }
        }
        for (Group group : groups) {
            if ("FID".equalsIgnoreCase(group.semantics) && dropped.contains(group.ssrcs.get(0))) {
                dropped.addAll(group.ssrcs);
            }
        }
        Sources result = new Sources();
        for (Source source : sources) {
            if (!dropped.contains(source.ssrc)) {
                result.sources.add(source);
            }
        }
        for (Group group : groups) {
            if (!"SIM".equalsIgnoreCase(group.semantics) && !dropped.contains(group.ssrcs.get(0))) {
                result.groups.add(group);
            }
        }
        return result;
    }

    @Override
    public String toString() {
        return compact();
    }
}
