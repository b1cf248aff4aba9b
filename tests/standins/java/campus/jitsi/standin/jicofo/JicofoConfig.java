// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.XmppLink;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.logging.Logger;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jxmpp.jid.DomainBareJid;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.stringprep.XmppStringprepException;

/** Everything the stand-in reads from jicofo.conf. What the start needs is read at the start. */
final class JicofoConfig {
    /** Strategies of the real program; an unknown name ends its start with a ClassNotFoundException. */
    private static final List<String> STRATEGIES = List.of("SingleBridgeSelectionStrategy",
            "SplitBridgeSelectionStrategy", "RegionBasedBridgeSelectionStrategy",
            "IntraRegionBridgeSelectionStrategy", "VisitorSelectionStrategy");

    enum AuthType { NONE, XMPP, JWT }

    final Conf conf;
    final XmppLink.Settings client;
    final XmppLink.Settings service;
    final DomainBareJid xmppDomain;
    final DomainBareJid conferenceMuc;
    final DomainBareJid clientProxy;
    final Set<DomainBareJid> trustedDomains = new HashSet<>();

    final EntityBareJid brewery;
    final boolean breweryOnService;
    final boolean bridgeHealthChecks;
    final boolean bridgeHealthByPresence;
    final Duration bridgeHealthInterval;
    final Duration bridgeHealthRetry;
    final Duration bridgePresenceTimeout;
    final Duration bridgeFailureReset;
    final Duration bridgeRampup;
    final double bridgeParticipantStress;
    final double bridgeStressThreshold;
    final String strategy;
    final boolean octo;
    final boolean mixedVersions;
    final String localRegion;

    final AuthType authType;
    final DomainBareJid authDomain;
    final boolean autoLogin;
    final Duration authLifetime;

    final boolean health;
    final Duration healthInterval;
    final Duration healthTimeout;
    final Duration healthMaxDuration;
    final String healthRoomPrefix;

    /** Where gateways to telephones are; null without. */
    final EntityBareJid gateways;

    final boolean rest;
    final String restHost;
    final int restPort;

    JicofoConfig(Conf conf) throws XmppStringprepException, ClassNotFoundException {
        this.conf = conf;
        client = connection("client");
        service = conf.flag("jicofo.xmpp.service.enabled") ? connection("service") : null;
        xmppDomain = domain("jicofo.xmpp.client.xmpp-domain");
        conferenceMuc = conf.has("jicofo.xmpp.client.conference-muc-jid")
                ? domain("jicofo.xmpp.client.conference-muc-jid")
                : JidCreate.domainBareFrom("conference." + xmppDomain);
        clientProxy = optDomain("jicofo.xmpp.client.client-proxy");
        for (String trusted : conf.strings("jicofo.xmpp.trusted-domains")) {
            trustedDomains.add(JidCreate.domainBareFrom(trusted));
        }

        String breweryJid = conf.legacy("org.jitsi.jicofo.BRIDGE_MUC") != null
                ? conf.legacy("org.jitsi.jicofo.BRIDGE_MUC") : conf.optString("jicofo.bridge.brewery-jid");
        brewery = breweryJid == null ? null : JidCreate.entityBareFrom(breweryJid);
        String connectionName = conf.string("jicofo.bridge.xmpp-connection-name");
        if (!connectionName.equals("Service") && !connectionName.equals("Client")) {
            throw new IllegalArgumentException("jicofo.bridge.xmpp-connection-name: " + connectionName);
        }
        breweryOnService = connectionName.equals("Service");
        bridgeHealthChecks = conf.flag("jicofo.bridge.health-checks.enabled");
        bridgeHealthByPresence = conf.flag("jicofo.bridge.health-checks.use-presence");
        bridgeHealthInterval = conf.duration("jicofo.bridge.health-checks.interval");
        bridgeHealthRetry = conf.has("jicofo.bridge.health-checks.retry-delay")
                ? conf.duration("jicofo.bridge.health-checks.retry-delay") : bridgeHealthInterval.dividedBy(2);
        bridgePresenceTimeout = conf.duration("jicofo.bridge.health-checks.presence-timeout");
        bridgeFailureReset = conf.duration("jicofo.bridge.failure-reset-threshold");
        bridgeRampup = conf.duration("jicofo.bridge.participant-rampup-interval");
        bridgeParticipantStress = conf.number("jicofo.bridge.average-participant-stress");
        bridgeStressThreshold = conf.number("jicofo.bridge.stress-threshold");
        strategy = conf.string("jicofo.bridge.selection-strategy");
        if (!STRATEGIES.contains(strategy.substring(strategy.lastIndexOf('.') + 1))) {
            throw new ClassNotFoundException(strategy);
        }
        octo = conf.flag("jicofo.octo.enabled");
        mixedVersions = conf.flag("jicofo.octo.allow-mixed-versions");
        localRegion = conf.optString("jicofo.local-region");
        if (octo || !strategy.endsWith("SingleBridgeSelectionStrategy")) {
            Logger.getLogger(JicofoConfig.class.getName()).warning(
                    "This stand-in keeps every conference on one bridge; " + strategy + " is only checked by name.");
        }

        authType = conf.flag("jicofo.authentication.enabled")
                ? AuthType.valueOf(conf.string("jicofo.authentication.type")) : AuthType.NONE;
        authDomain = authType == AuthType.NONE ? null : domain("jicofo.authentication.login-url");
        autoLogin = conf.flag("jicofo.authentication.enable-auto-login");
        authLifetime = conf.duration("jicofo.authentication.authentication-lifetime");

        health = conf.flag("jicofo.health.enabled");
        healthInterval = conf.duration("jicofo.health.interval");
        healthTimeout = conf.duration("jicofo.health.timeout");
        healthMaxDuration = conf.duration("jicofo.health.max-check-duration");
        healthRoomPrefix = conf.string("jicofo.health.room-name-prefix");

        gateways = conf.has("jicofo.jigasi.brewery-jid") ? JidCreate.entityBareFrom(conf.string("jicofo.jigasi.brewery-jid")) : null;

        restPort = conf.integer("jicofo.rest.port");
        restHost = conf.string("jicofo.rest.host");
        rest = conf.flag("jicofo.rest.enabled") && restPort > 0;
    }

    // As in the real program these are only read when a conference needs them: a value of the wrong type is found late.

    int minParticipants() {
        return conf.integer("jicofo.conference.min-participants");
    }

    Duration initialTimeout() {
        return conf.duration("jicofo.conference.initial-timeout");
    }

    Duration singleTimeout() {
        return conf.duration("jicofo.conference.single-participant-timeout");
    }

    boolean autoOwner() {
        return conf.flag("jicofo.conference.enable-auto-owner");
    }

    boolean jsonSources() {
        return conf.flag("jicofo.conference.use-json-encoded-sources");
    }

    boolean ssrcRewriting() {
        return conf.flag("jicofo.conference.use-ssrc-rewriting");
    }

    boolean midDemux() {
        return conf.flag("jicofo.conference.use-rtp-mid-demux");
    }

    boolean stripSimulcast() {
        return conf.flag("jicofo.conference.strip-simulcast");
    }

    boolean randomDocument() {
        return conf.flag("jicofo.conference.shared-document.use-random-name");
    }

    boolean sctp() {
        return conf.flag("jicofo.sctp.enabled");
    }

    int maxAudioSenders() {
        return conf.integer("jicofo.conference.max-audio-senders");
    }

    int maxVideoSenders() {
        return conf.integer("jicofo.conference.max-video-senders");
    }

    int restartMax() {
        return conf.integer("jicofo.conference.restart-request-rate-limits.max-requests");
    }

    Duration restartInterval() {
        return conf.duration("jicofo.conference.restart-request-rate-limits.interval");
    }

    Duration restartMinInterval() {
        return conf.duration("jicofo.conference.restart-request-rate-limits.min-interval");
    }

    private XmppLink.Settings connection(String name) throws XmppStringprepException {
        String base = "jicofo.xmpp." + name + ".";
        XmppLink.Settings settings = new XmppLink.Settings();
        settings.name = name;
        settings.host = conf.string(base + "hostname");
        settings.port = conf.integer(base + "port");
        settings.domain = domain(base + "domain");
        settings.username = conf.string(base + "username");
        settings.resource = conf.string(base + "resource");
        settings.password = conf.optString(base + "password");
        settings.security = conf.flag(base + "use-tls") ? SecurityMode.ifpossible : SecurityMode.disabled;
        settings.trustAll = conf.flag(base + "disable-certificate-verification");
        settings.replyTimeout = conf.duration(base + "reply-timeout");
        return settings;
    }

    private DomainBareJid domain(String path) throws XmppStringprepException {
        return JidCreate.domainBareFrom(conf.string(path));
    }

    private DomainBareJid optDomain(String path) throws XmppStringprepException {
        return conf.has(path) ? domain(path) : null;
    }

    /** The account as clients are told it: {@code focusjid}. */
    String focusJid() {
        return client.username + "@" + client.domain;
    }
}
