// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Xml;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smackx.muc.MUCAffiliation;
import org.jivesoftware.smackx.muc.MUCRole;
import org.jivesoftware.smackx.muc.packet.MUCItem;
import org.jivesoftware.smackx.muc.packet.MUCUser;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.Jid;

/** Somebody else in a meeting room, as presence shows them (jicofo's ChatRoomMemberImpl). */
final class Member {
    final EntityFullJid jid;
    private final JicofoConfig config;
    private Jid realJid;
    private MUCRole role = MUCRole.none;
    private MUCAffiliation affiliation = MUCAffiliation.none;
    private String statsId;
    private String region;
    private final Set<String> services = new HashSet<>();
    private String untrusted;

    Member(EntityFullJid jid, JicofoConfig config) {
        this.jid = jid;
        this.config = config;
    }

    synchronized void update(Presence presence) {
        MUCUser user = MUCUser.from(presence);
        MUCItem item = user == null ? null : user.getItem();
        if (item != null) {
            realJid = item.getJid() != null ? item.getJid() : realJid;
            role = item.getRole();
            affiliation = item.getAffiliation();
        }
        statsId = text(presence, "stats-id", statsId);
        region = text(presence, "jitsi_participant_region", region);
        services.clear();
        Xml features = Xml.of(presence.getExtension("features", "jabber:client"));
        if (features == null) {
            return;
        }
        boolean trusted = realJid != null && config.trustedDomains.contains(realJid.asDomainBareJid());
        for (Xml feature : features.children("feature")) {
            String var = String.valueOf(feature.attr("var"));
            if (var.startsWith("http://jitsi.org/protocol/")) {
                if (trusted) {
                    services.add(var.substring("http://jitsi.org/protocol/".length()));
                } else {
                    untrusted = var;
                }
            }
        }
    }

    private static String text(Presence presence, String element, String fallback) {
        ExtensionElement extension = presence.getExtension(element, "jabber:client");
        return extension == null ? fallback : Xml.of(extension).text();
    }

    /** A service feature announced from a domain that is not trusted; reported once. */
    synchronized String takeUntrusted() {
        String found = untrusted;
        untrusted = null;
        return found;
    }

    synchronized Jid realJid() {
        return realJid;
    }

    synchronized boolean visitor() {
        return role == MUCRole.visitor;
    }

    synchronized boolean owner() {
        return affiliation == MUCAffiliation.owner;
    }

    synchronized boolean moderator() {
        return role == MUCRole.moderator || affiliation == MUCAffiliation.owner
                || affiliation == MUCAffiliation.admin;
    }

    /** A recorder, gateway or transcriber, which never becomes moderator. */
    synchronized boolean service() {
        return services.contains("jibri") || services.contains("jigasi") || services.contains("transcriber");
    }

    synchronized boolean privateAddresses() {
        return services.contains("jibri") && config.conf.flag("jicofo.jibri.use-private-address-connectivity")
                || services.contains("jigasi") && config.conf.flag("jicofo.jigasi.use-private-address-connectivity");
    }

    synchronized String statsId() {
        return statsId;
    }

    synchronized Map<String, Object> debug() {
        return Json.object("region", String.valueOf(region), "occupant_jid", jid.toString(),
                "jid", String.valueOf(realJid), "role", role.toString(), "affiliation", affiliation.toString(),
                "is_jibri", services.contains("jibri"), "is_jigasi", services.contains("jigasi"),
                "is_transcriber", services.contains("transcriber"), "stats_id", String.valueOf(statsId));
    }
}
