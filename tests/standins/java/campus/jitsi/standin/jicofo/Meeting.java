// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.InOrder;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import campus.jitsi.standin.jicofo.ColibriSession.Allocation;
import campus.jitsi.standin.jicofo.ColibriSession.AllocationFailed;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ScheduledFuture;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jivesoftware.smackx.disco.packet.DiscoverInfo;
import org.jivesoftware.smackx.muc.packet.MUCUser;
import org.jivesoftware.smackx.xdata.FormField;
import org.jivesoftware.smackx.xdata.form.Form;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;

/**
 * One conference: the seat in the MUC room, the members, their invitations and the bridge (jicofo's
 * JitsiMeetConferenceImpl).
 *
 * <p>Everything that changes state runs in {@link #tasks}, one task at a time. Only waiting for answers (disco, colibri2,
 * session-initiate) happens outside of it.
 */
final class Meeting implements Bridges.Listener {
    private static final String JITMEET = "http://jitsi.org/jitmeet";

    private final Logger log;
    private final Focus focus;
    private final JicofoConfig config;
    private final XmppLink link;
    private final EntityBareJid room;
    private final Map<String, String> requested;
    private final boolean counted;
    private final InOrder tasks = new InOrder();
    private final MucRoom seat;
    private final Map<EntityFullJid, Member> members = new LinkedHashMap<>();
    private final Map<EntityFullJid, Peer> peers = new LinkedHashMap<>();
    private final Map<String, String> properties = new TreeMap<>();
    private ColibriSession session;
    private Member owner;
    private EntityBareJid mainRoom;
    private String meetingId;
    private volatile boolean running;
    private volatile boolean joined;
    private ScheduledFuture<?> startTimeout;
    private ScheduledFuture<?> singleTimeout;

    Meeting(Focus focus, EntityBareJid room, Map<String, String> requested, boolean counted) {
        this.focus = focus;
        this.config = focus.config();
        this.link = focus.client();
        this.room = room;
        this.requested = requested;
        this.counted = counted;
        this.log = Logger.getLogger(Meeting.class.getName() + "." + room.getLocalpart());
        this.seat = new MucRoom(link, room, nick(config));
        scheduleStartTimeout();
        log.info("Created new conference for " + room);
    }

    private static Resourcepart nick(JicofoConfig config) {
        return Resourcepart.fromOrThrowUnchecked(config.client.username);
    }

    // ---- life of the meeting ------------------------------------------------------------------------------------

    /** Enters the room; on failure the meeting ends and the reason is thrown. */
    void start() throws Exception {
        running = true;
        focus.bridges().addListener(this);
        if (!link.loggedIn()) {
            return;
        }
        try {
            join();
        } catch (Exception e) {
            stop("could not join: " + e.getMessage());
            throw e;
        }
    }

    private void join() throws Exception {
        log.info("Joining " + room);
        seat.listen(presence -> tasks.add(() -> presence(presence)));
        seat.join();
        Form form = seat.configure();
        meetingId = field(form, "muc#roominfo_meetingId");
        if (meetingId == null || meetingId.isBlank()) {
            meetingId = UUID.randomUUID().toString();
            if (counted) {
                log.warning("No meetingId set for the MUC. Generating one locally.");
            }
        }
        if ("1".equals(field(form, "muc#roominfo_isbreakout"))
                && field(form, "muc#roominfo_breakout_main_room") != null) {
            mainRoom = JidCreate.entityBareFrom(field(form, "muc#roominfo_breakout_main_room"));
        }
        Xml versions = Xml.of("versions", JITMEET);
        versions.child("component").attr("name", "focus").text(focus.version());
        seat.setExtension(versions);
        String document = config.randomDocument()
                ? UUID.randomUUID().toString().replace("-", "") : room.getLocalpart().toString();
        seat.setExtension(Xml.of("etherpad", "http://jitsi.org/jitmeet/etherpad").text(document));
        property("support-terminate-restart", "true");
        joined = true;
        tasks.add(this::electOwner);
    }

    private static String field(Form form, String name) {
        FormField field = form.getField(name);
        return field == null ? null : field.getFirstValue();
    }

    /** Leaves the room and gives the bridge back. Safe to call twice. */
    void stop(String reason) {
        synchronized (this) {
            if (!running) {
                return;
            }
            running = false;
            joined = false;
            cancel(startTimeout);
            cancel(singleTimeout);
        }
        log.info("Stopped: " + reason);
        focus.bridges().removeListener(this);
        peers.values().forEach(peer -> focus.jingle().forget(peer.sid));
        expireSession();
        seat.leave();
        tasks.close();
        focus.ended(this);
    }

    private void scheduleStartTimeout() {
        startTimeout = Periodic.after(config.initialTimeout(), () -> {
            if (counted) {
                log.info("Expiring due to initial timeout.");
            }
            Periodic.io(() -> stop("nobody came"));
        });
    }

    /** Another request for a meeting that nobody has entered yet gives it more time. */
    synchronized void touch() {
        if (startTimeout != null && !startTimeout.isDone()) {
            startTimeout.cancel(false);
            scheduleStartTimeout();
        }
    }

    private static void cancel(ScheduledFuture<?> timer) {
        if (timer != null) {
            timer.cancel(false);
        }
    }

    void xmppLost() {
        // Prosody keeps the session for resumption; without one the room has forgotten us.
        Periodic.after(config.client.replyTimeout, () -> {
            if (!link.loggedIn()) {
                Periodic.io(() -> stop("the XMPP connection did not come back"));
            }
        });
    }

    void xmppBack(boolean resumed) {
        if (!resumed) {
            Periodic.io(() -> stop("reconnected without resuming"));
        }
    }

    boolean ready() {
        return running && joined;
    }

    boolean running() {
        return running;
    }

    EntityBareJid room() {
        return room;
    }

    boolean counted() {
        return counted;
    }

    int size() {
        return peers.size();
    }

    // ---- our presence -------------------------------------------------------------------------------------------

    private void property(String key, String value) {
        properties.put(key, value);
        Xml element = Xml.of("conference-properties", Jingle.FOCUS_NS);
        properties.forEach((k, v) -> element.child("property").attr("key", k).attr("value", v));
        seat.setExtension(element);
    }

    // ---- members ------------------------------------------------------------------------------------------------

    private void presence(Presence presence) {
        EntityFullJid from = presence.getFrom() == null ? null : presence.getFrom().asEntityFullJidIfPossible();
        if (from == null || presence.getError() != null || !running) {
            return;
        }
        MUCUser user = MUCUser.from(presence);
        if (from.equals(seat.occupantJid())) {
            if (user != null && user.getDestroy() != null) {
                log.info("Room destroyed with reason=" + user.getDestroy().getReason());
                Periodic.io(() -> stop("the room was destroyed"));
            } else if (presence.getType() == Presence.Type.unavailable) {
                Periodic.io(() -> stop("removed from the room"));
            } else if (joined && user != null && user.getItem() != null
                    && user.getItem().getAffiliation() != org.jivesoftware.smackx.muc.MUCAffiliation.owner) {
                log.warning("Stopping, because the local role changed (owner privileges are required).");
                Periodic.io(() -> stop("not an owner"));
            }
            return;
        }
        Member known = members.get(from);
        if (presence.getType() == Presence.Type.unavailable) {
            if (known != null) {
                members.remove(from);
                left(known, presence);
            }
            return;
        }
        if (known != null) {
            known.update(presence);
            return;
        }
        Member member = new Member(from, config);
        member.update(presence);
        members.put(from, member);
        String untrusted = member.takeUntrusted();
        if (untrusted != null) {
            log.warning(untrusted + " signaled from a non-trusted domain (" + member.realJid() + "). The domain can be"
                    + " configured as trusted with the jicofo.xmpp.trusted-domains property.");
        }
        synchronized (this) {
            cancel(startTimeout);
        }
        electOwner();
        Periodic.io(() -> {
            Set<String> features = discover(from);
            tasks.add(() -> came(member, features));
        });
    }

    /**
     * Asks the member itself. Smack's own discovery, which the real program uses, does one request at a time: somebody
     * who is gone but not yet out of the room would hold up everybody else for its whole timeout.
     */
    private Set<String> discover(EntityFullJid jid) {
        Set<String> features = new HashSet<>();
        IQ answer = link.ask(DiscoverInfo.builder(link.connection()).ofType(IQ.Type.get).to(jid).build());
        if (answer instanceof DiscoverInfo && answer.getError() == null) {
            ((DiscoverInfo) answer).getFeatures().forEach(feature -> features.add(feature.getVar()));
        } else {
            log.warning("Failed to discover features for " + jid + ": "
                    + (answer == null ? "no answer" : String.valueOf(answer.getError())));
        }
        return features.isEmpty() ? Features.DEFAULTS : features;
    }

    private void came(Member member, Set<String> features) {
        if (!running || members.get(member.jid) != member) {
            return;
        }
        if (member.visitor()) {
            log.warning("Ignoring a visitor because visitors are not configured: " + member.jid.getResourcepart());
            return;
        }
        log.info("Member joined: " + member.jid.getResourcepart() + " stats-id=" + member.statsId());
        focus.countParticipant();
        peers.put(member.jid, new Peer(member, features));
        if (peers.size() < config.minParticipants()) {
            return;
        }
        cancel(singleTimeout);
        peers.values().stream().filter(peer -> peer.state == Peer.State.NONE && peer.invitation == 0)
                .forEach(this::invite);
    }

    private void left(Member member, Presence presence) {
        log.info("Member left: " + member.jid.getResourcepart());
        if (member == owner) {
            owner = null;
            electOwner();
        }
        Peer peer = peers.remove(member.jid);
        if (peer != null) {
            terminate(peer, "gone", null, false);
            takeOffBridge(peer);
        }
        long invited = peers.values().stream().filter(other -> other.onBridge).count();
        if (peers.isEmpty()) {
            expireSession();
        } else if (peers.size() == 1 && invited == 1) {
            scheduleSingleTimeout();
        }
        if (members.isEmpty()) {
            if ("switch_room".equals(presence.getStatus()) || focus.hasBreakoutRooms(room)) {
                log.info("Breakout rooms are in use, will not stop.");
                synchronized (this) {
                    scheduleStartTimeout();
                }
            } else {
                Periodic.io(() -> stop("the last member left"));
            }
        }
    }

    private void scheduleSingleTimeout() {
        cancel(singleTimeout);
        log.info("Scheduled single person timeout.");
        singleTimeout = Periodic.after(config.singleTimeout(), () -> tasks.add(() -> {
            if (peers.size() == 1) {
                Peer peer = peers.values().iterator().next();
                log.info("Timing out single participant: " + peer.id);
                terminate(peer, "expired", "Idle session timeout", true);
                expireSession();
                peer.state = Peer.State.NONE;
                peer.invitation = 0;
            }
        }));
    }

    /** The first member becomes owner when no owner is there; authentication takes the place of that. */
    private void electOwner() {
        if (!joined || !running) {
            return;
        }
        if (focus.auth() != null) {
            for (Member member : members.values()) {
                if (!member.owner() && focus.auth().authenticated(member.realJid())) {
                    grantOwner(member);
                }
            }
            return;
        }
        if (!config.autoOwner() || mainRoom != null || owner != null) {
            return;
        }
        for (Member member : members.values()) {
            if (!member.service() && member.owner()) {
                owner = member;
                return;
            }
        }
        for (Member member : members.values()) {
            if (!member.service() && !member.visitor()) {
                log.info("Electing new owner: " + member.jid.getResourcepart());
                owner = member;
                grantOwner(member);
                return;
            }
        }
    }

    private void grantOwner(Member member) {
        if (member.realJid() == null) {
            log.warning("Can not grant ownership to " + member.jid.getResourcepart() + ", real JID unknown");
            return;
        }
        Xml query = Xml.of("query", "http://jabber.org/protocol/muc#admin");
        query.child("item").attr("affiliation", "owner").attr("jid", member.realJid().asBareJid());
        Periodic.io(() -> {
            IQ answer = link.ask(XmlIq.set(room, query));
            if (answer == null || answer.getType() != IQ.Type.result) {
                log.warning("Failed to grant ownership: " + (answer == null ? "timeout" : answer.getError()));
            }
        });
    }

    /** Somebody logged in: his occupants become owners. */
    void authenticated() {
        tasks.add(this::electOwner);
    }

    // ---- invitations --------------------------------------------------------------------------------------------

    private void invite(Peer peer) {
        int number = ++peer.invitation;
        List<Xml> contents = new Offer(config, peer.features).contents(config.sctp());
        ColibriSession colibri = session;
        if (colibri == null) {
            Bridge bridge = focus.bridges().select(null);
            if (bridge == null) {
                if (!seat.hasExtension("bridgeNotAvailable", Jingle.FOCUS_NS)) {
                    seat.setExtension(Xml.of("bridgeNotAvailable", Jingle.FOCUS_NS));
                }
                log.severe("Can not invite participant, no bridge available.");
                peer.invitation = 0;
                return;
            }
            seat.removeExtension("bridgeNotAvailable", Jingle.FOCUS_NS);
            boolean rtcstats = !"false".equals(requested.get("rtcstatsEnabled"));
            colibri = new ColibriSession(bridge, focus.service(), meetingId, room.toString(), rtcstats);
            session = colibri;
            property("bridge-count", "1");
        }
        ColibriSession used = colibri;
        used.bridge.endpointAdded();
        peer.onBridge = true;
        ColibriSession.Request request = used.allocate(peer, contents, peer.member.privateAddresses(),
                peer.ssrcRewriting(config), peer.midDemux(config));
        Periodic.io(() -> {
            try {
                Allocation allocation = request.await();
                tasks.add(() -> initiate(peer, number, used, contents, allocation));
            } catch (AllocationFailed e) {
                tasks.add(() -> allocationFailed(peer, number, used, e));
            }
        });
    }

    private void allocationFailed(Peer peer, int number, ColibriSession used, AllocationFailed reason) {
        if (session != used || peer.invitation != number) {
            return;
        }
        log.log(Level.SEVERE, "Failed to allocate a colibri2 endpoint for " + peer.id + ": " + reason.getMessage());
        peer.onBridge = false;
        used.bridge.endpointsRemoved(1);
        if (reason.removeBridge) {
            leaveBridge("it failed");
        } else {
            peer.invitation = 0;
        }
    }

    private void initiate(Peer peer, int number, ColibriSession used, List<Xml> contents, Allocation allocation) {
        if (session != used || peers.get(peer.jid) != peer || peer.invitation != number) {
            return; // taken off the bridge meanwhile
        }
        Offer.addTransport(contents, allocation.transport, allocation.sctpPort);
        Map<String, Sources> offered = new LinkedHashMap<>();
        if (!peer.ssrcRewriting(config)) {
            for (Peer other : peers.values()) {
                Sources theirs = forReceivers(other.sources);
                if (other != peer && !theirs.isEmpty()) {
                    offered.put(other.id, theirs);
                }
            }
        }
        if (!allocation.feedback.isEmpty()) {
            offered.put("jvb", allocation.feedback);
        }
        focus.jingle().forget(peer.sid);
        peer.sid = Long.toString(Math.abs(UUID.randomUUID().getMostSignificantBits()), 36);
        peer.state = Peer.State.PENDING;
        peer.queued.clear();
        focus.jingle().register(peer.sid, this);

        List<Xml> sent = new ArrayList<>(contents);
        boolean json = peer.takesJsonSources(config);
        if (!json) {
            Sources.toContents(offered, sent);
        }
        Xml jingle = peer.jingle("session-initiate").attr("initiator", link.connection().getUser());
        jingle.addAll(sent);
        Xml group = jingle.child("group", "urn:xmpp:jingle:apps:grouping:0").attr("semantics", "BUNDLE");
        contents.forEach(content -> group.child("content").attr("name", content.attr("name")));
        boolean muteAudio = startMuted("startAudioMuted", config.maxAudioSenders());
        boolean muteVideo = startMuted("startVideoMuted", config.maxVideoSenders());
        if (muteAudio || muteVideo) {
            jingle.child("startmuted", "http://jitsi.org/jitmeet/start-muted")
                    .attr("audio", muteAudio).attr("video", muteVideo);
        }
        jingle.child("bridge-session", Jingle.FOCUS_NS).attr("id", used.id).attr("region", used.bridge.region());
        if (json) {
            jingle.add(Sources.toJson(offered));
        }
        log.info("Sending session-initiate to: " + peer.jid + " sources=" + offered.keySet());
        String sid = peer.sid;
        Periodic.io(() -> {
            IQ answer = link.ask(XmlIq.set(peer.jid, jingle));
            // No answer counts as success: a busy client may be slow, its session-accept decides.
            if (answer != null && answer.getType() != IQ.Type.result) {
                tasks.add(() -> {
                    if (sid.equals(peer.sid)) {
                        log.warning("Unexpected response to session-initiate: " + answer.getError());
                        terminate(peer, "general-error", "jingle session failed", true);
                        takeOffBridge(peer);
                    }
                });
            }
        });
    }

    private boolean startMuted(String property, int senders) {
        int limit = senders;
        try {
            limit = requested.containsKey(property)
                    ? Math.min(limit, Integer.parseInt(requested.get(property))) : limit;
        } catch (NumberFormatException e) {
            log.warning("Failed to parse the value of " + property + " as an integer.");
        }
        return peers.size() > limit;
    }

    private Sources forReceivers(Sources sources) {
        return config.stripSimulcast() ? sources.withoutSimulcast() : sources;
    }

    private void terminate(Peer peer, String reason, String text, boolean send) {
        if (peer.state == Peer.State.NONE || peer.state == Peer.State.ENDED) {
            return;
        }
        if (send) {
            Xml jingle = peer.jingle("session-terminate");
            Xml why = jingle.child("reason");
            why.child(reason);
            if (text != null) {
                why.child("text").text(text);
            }
            link.send(XmlIq.set(peer.jid, jingle));
        }
        focus.jingle().forget(peer.sid);
        peer.state = Peer.State.ENDED;
        if (!peer.sources.isEmpty()) {
            Sources gone = new Sources();
            gone.add(peer.sources);
            peer.sources.remove(gone);
            // Members who leave take their sources with them; clients see that in presence.
            if (send) {
                tell(peer, gone, "source-remove");
            }
        }
    }

    private void takeOffBridge(Peer peer) {
        if (!peer.onBridge || session == null) {
            return;
        }
        peer.onBridge = false;
        session.bridge.endpointsRemoved(1);
        if (peers.values().stream().anyMatch(other -> other.onBridge)) {
            session.expire(List.of(peer));
        } else {
            expireSession();
        }
    }

    private void expireSession() {
        if (session == null) {
            return;
        }
        session.bridge.endpointsRemoved((int) peers.values().stream().filter(peer -> peer.onBridge).count());
        peers.values().forEach(peer -> peer.onBridge = false);
        session.expireAll();
        session = null;
        if (running) {
            property("bridge-count", "0");
        }
    }

    /** Moves everybody off the current bridge and invites them again, to another one if there is one. */
    private void leaveBridge(String reason) {
        if (session == null) {
            return;
        }
        Collection<Peer> moved = new ArrayList<>();
        for (Peer peer : peers.values()) {
            if (peer.onBridge || peer.state == Peer.State.PENDING || peer.state == Peer.State.ACTIVE) {
                moved.add(peer);
            }
        }
        log.info("Re-inviting " + moved.size() + " participants because " + session.bridge.jid + " " + reason);
        expireSession();
        for (Peer peer : moved) {
            terminate(peer, "success", "moving", true);
            peer.state = Peer.State.NONE;
        }
        if (peers.size() >= config.minParticipants()) {
            new ArrayList<>(peers.values()).forEach(this::invite);
        }
    }

    @Override
    public void bridgeAdded(Bridge bridge) {
        tasks.add(() -> {
            if (running && session == null && peers.size() >= config.minParticipants()) {
                log.info("New bridge available, will try to restart: " + bridge.jid);
                for (Peer peer : new ArrayList<>(peers.values())) {
                    invite(peer);
                }
            }
        });
    }

    @Override
    public void bridgeDown(Bridge bridge, String reason) {
        tasks.add(() -> {
            if (running && session != null && session.bridge == bridge) {
                leaveBridge(reason);
            }
        });
    }

    // ---- Jingle from clients ------------------------------------------------------------------------------------

    /** A Jingle request in one of this meeting's sessions; answered in order. */
    void jingle(XmlIq request) {
        tasks.add(() -> {
            Xml jingle = request.payload();
            Peer peer = null;
            for (Peer candidate : peers.values()) {
                if (jingle.attr("sid").equals(candidate.sid)) {
                    peer = candidate;
                }
            }
            if (peer == null || peer.state == Peer.State.ENDED) {
                Jingle.answer(link, request, Condition.gone, "session ended");
                return;
            }
            handle(peer, request, jingle);
        });
    }

    private void handle(Peer peer, XmlIq request, Xml jingle) {
        List<Xml> contents = jingle.children("content");
        String action = jingle.attr("action");
        log.info("Received " + action + " from " + peer.id);
        switch (action) {
            case "session-accept":
            case "transport-accept":
                accept(peer, request, contents);
                return;
            case "transport-info":
                transportInfo(peer, request, contents);
                return;
            case "session-info":
                sessionInfo(peer, request, jingle);
                return;
            case "session-terminate":
                sessionTerminate(peer, request, jingle);
                return;
            case "source-add":
            case "addsource":
                changeSources(peer, request, contents, true);
                return;
            case "source-remove":
            case "removesource":
                changeSources(peer, request, contents, false);
                return;
            case "transport-reject":
                log.warning("Received transport-reject: " + jingle);
                Jingle.answer(link, request, null, null);
                return;
            default:
                Jingle.answer(link, request, Condition.feature_not_implemented, "Unsupported 'action'");
        }
    }

    private static Xml transport(List<Xml> contents) {
        for (Xml content : contents) {
            Xml transport = content.first("transport", ColibriSession.ICE_UDP);
            if (transport != null) {
                Xml copy = transport.copy();
                if (copy.first("rtcp-mux") == null) {
                    copy.child("rtcp-mux");
                }
                return copy;
            }
        }
        return null;
    }

    private void accept(Peer peer, XmlIq request, List<Xml> contents) {
        Sources added = Sources.fromJingle(contents);
        for (Peer other : peers.values()) {
            if (other != peer && other.sources.sources.stream().anyMatch(added.sources::contains)) {
                Jingle.answer(link, request, Condition.bad_request, "SSRC is in use by another participant");
                peer.state = Peer.State.ENDED;
                return;
            }
        }
        peer.state = Peer.State.ACTIVE;
        peer.sources.add(added);
        Xml lastN = null;
        for (Xml content : contents) {
            lastN = content.first("initial-last-n") != null ? content.first("initial-last-n") : lastN;
        }
        if (session != null) {
            session.update(peer, transport(contents), true, lastN);
        }
        Jingle.answer(link, request, null, null);
        tell(peer, added, "source-add");
        peer.queued.forEach((owner, theirs) -> send(peer, owner, theirs, "source-add"));
        peer.queued.clear();
    }

    private void transportInfo(Peer peer, XmlIq request, List<Xml> contents) {
        Xml transport = transport(contents);
        if (transport == null) {
            Jingle.answer(link, request, Condition.bad_request, "missing transport");
            return;
        }
        if (session != null) {
            session.update(peer, transport, false, null);
        }
        Jingle.answer(link, request, null, null);
    }

    private void sessionInfo(Peer peer, XmlIq request, Xml jingle) {
        Xml bridgeSession = jingle.first("bridge-session");
        String wanted = bridgeSession == null ? null : bridgeSession.attr("id");
        boolean current = session != null && session.id.equals(wanted);
        if (bridgeSession != null && bridgeSession.flag("ice-restart")) {
            if (!current) {
                Jingle.answer(link, request, Condition.item_not_found, wanted + " is not a currently active session");
                return;
            }
            Jingle.answer(link, request, null, null);
            session.restartIce(peer, transport -> tasks.add(() -> iceRestarted(peer, transport)));
            return;
        }
        Jingle.answer(link, request, null, null);
        Xml iceState = jingle.first("ice-state");
        if (iceState == null || !"failed".equalsIgnoreCase(iceState.text())) {
            return;
        }
        focus.countIceFailed();
        if (current) {
            log.info("Received ICE failed notification from " + peer.id);
            reinvite(peer);
        } else {
            log.info("Ignored ICE failed notification for invalid session, participant: " + peer.id);
        }
    }

    private void iceRestarted(Peer peer, Xml transport) {
        if (peer.state != Peer.State.ACTIVE) {
            return;
        }
        if (transport == null) {
            log.info("The bridge did not restart ICE for " + peer.id + ", re-inviting.");
            reinvite(peer);
        } else if (transport.attr("ice-generation") != null) {
            Xml jingle = peer.jingle("transport-info");
            jingle.child("content").attr("creator", "initiator").attr("name", "audio").add(transport.copy());
            link.send(XmlIq.set(peer.jid, jingle));
        }
    }

    private void reinvite(Peer peer) {
        terminate(peer, "success", "moving", true);
        if (peer.onBridge && session != null) {
            session.bridge.endpointsRemoved(1);
            peer.onBridge = false;
            session.expire(List.of(peer));
        }
        peer.state = Peer.State.NONE;
        invite(peer);
    }

    private void sessionTerminate(Peer peer, XmlIq request, Xml jingle) {
        Xml bridgeSession = jingle.first("bridge-session");
        String wanted = bridgeSession == null ? null : bridgeSession.attr("id");
        if (session == null || !session.id.equals(wanted)) {
            Jingle.answer(link, request, Condition.item_not_found, wanted + " is not a currently active session");
            return;
        }
        boolean restart = bridgeSession.flag("restart");
        boolean again = restart && peer.mayRestart(config);
        Sources gone = new Sources();
        gone.add(peer.sources);
        peer.sources.remove(gone);
        focus.jingle().forget(peer.sid);
        peer.state = Peer.State.NONE;
        tell(peer, gone, "source-remove");
        if (restart && !again) {
            Jingle.answer(link, request, Condition.resource_constraint, "rate-limited");
        } else {
            Jingle.answer(link, request, null, null);
        }
        ColibriSession used = session;
        if (peer.onBridge) {
            used.bridge.endpointsRemoved(1);
            peer.onBridge = false;
            used.expire(List.of(peer));
        }
        if (again) {
            focus.countRestart();
            invite(peer);
        }
    }

    private void changeSources(Peer peer, XmlIq request, List<Xml> contents, boolean add) {
        Sources change = Sources.fromJingle(contents);
        if (change.isEmpty()) {
            Jingle.answer(link, request, null, null);
            return;
        }
        if (add) {
            peer.sources.add(change);
        } else {
            peer.sources.remove(change);
        }
        if (session != null) {
            session.update(peer, null, true, null);
        }
        Jingle.answer(link, request, null, null);
        tell(peer, change, add ? "source-add" : "source-remove");
    }

    /** Tells everybody else of one peer's change; those whose session is not active yet hear of it then. */
    private void tell(Peer owner, Sources change, String action) {
        Sources visible = forReceivers(change);
        if (visible.isEmpty()) {
            return;
        }
        for (Peer other : peers.values()) {
            if (other == owner || other.ssrcRewriting(config)) {
                continue;
            }
            if (other.state == Peer.State.ACTIVE) {
                send(other, owner.id, visible, action);
            } else if (other.state == Peer.State.PENDING) {
                Sources queue = other.queued.computeIfAbsent(owner.id, id -> new Sources());
                if (action.equals("source-add")) {
                    queue.add(visible);
                } else {
                    queue.remove(visible);
                }
            }
        }
    }

    private void send(Peer to, String owner, Sources sources, String action) {
        if (sources.isEmpty()) {
            return;
        }
        Xml jingle = to.jingle(action);
        Map<String, Sources> one = Map.of(owner, sources);
        if (to.takesJsonSources(config)) {
            jingle.add(Sources.toJson(one));
        } else {
            List<Xml> contents = new ArrayList<>();
            Sources.toContents(one, contents);
            jingle.addAll(contents);
        }
        link.send(XmlIq.set(to.jid, jingle));
    }

    // ---- muting -------------------------------------------------------------------------------------------------

    /** A request to mute somebody (namespaces http://jitsi.org/jitmeet/{audio,video,desktop}). */
    void mute(XmlIq request, EntityFullJid muter, EntityFullJid target, boolean mute) {
        tasks.add(() -> {
            Peer from = peers.get(muter);
            Peer whom = peers.get(target);
            if (from == null || whom == null) {
                Jingle.answer(link, request, Condition.internal_server_error, null);
                return;
            }
            boolean self = muter.equals(target);
            if (!self && (!from.member.moderator() || !mute) || whom.member.service()) {
                log.warning("Mute not allowed: " + muter + " for " + target);
                Jingle.answer(link, request, Condition.not_allowed, null);
                return;
            }
            Jingle.answer(link, request, null, null);
            if (!self) {
                Xml order = Xml.of("mute", request.payload().getNamespace())
                        .attr("jid", target).attr("actor", muter).text(Boolean.toString(mute));
                link.send(XmlIq.set(target, order));
            }
        });
    }

    // ---- recorders ----------------------------------------------------------------------------------------------

    boolean moderates(EntityFullJid jid) {
        Member member = members.get(jid);
        return member != null && member.moderator();
    }

    void show(Xml extension) {
        seat.setExtension(extension);
    }

    // ---- for people ---------------------------------------------------------------------------------------------

    Map<String, Object> debug() {
        Map<String, Object> shown = new LinkedHashMap<>();
        new ArrayList<>(members.values()).forEach(m -> shown.put(m.jid.getResourcepart().toString(), m.debug()));
        Map<String, Object> invited = new LinkedHashMap<>();
        new ArrayList<>(peers.values()).forEach(peer -> invited.put(peer.id, Json.object(
                "id", peer.id, "jingle_session", peer.sid == null ? null : Json.object(
                        "sid", peer.sid, "state", peer.state.toString()),
                "sources", peer.sources.toString(), "on_bridge", peer.onBridge)));
        ColibriSession used = session;
        return Json.object("name", room.toString(), "meeting_id", meetingId, "started", running,
                "joined", joined, "members", shown, "participants", invited,
                "bridge", used == null ? null : used.bridge.jid.toString(),
                "bridge_session", used == null ? null : used.id,
                "conference_properties", new TreeMap<>(properties),
                "main_room", mainRoom == null ? null : mainRoom.toString());
    }

    EntityBareJid mainRoom() {
        return mainRoom;
    }
}
