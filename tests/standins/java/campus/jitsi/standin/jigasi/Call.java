// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import campus.jitsi.standin.common.MucRoom;
import campus.jitsi.standin.common.Periodic;
import campus.jitsi.standin.common.Xml;
import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.io.IOException;
import java.net.DatagramSocket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;
import org.jivesoftware.smack.StanzaListener;
import org.jivesoftware.smack.XMPPException;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.Message;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.StanzaError.Condition;
import org.jivesoftware.smackx.muc.packet.MUCUser;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;

/** One telephone in one meeting: a SIP dialog on one side, a participant on the other. Its voice is not carried. */
final class Call {
    private static final Logger LOG = Logger.getLogger(Call.class.getName());
    private static final String[] JINGLE = {"jingle", "urn:xmpp:jingle:1"};

    private final Gateway gateway;
    private final SipAccount account;
    final boolean outgoing;
    final String name;
    final String resource = String.format("%08x", ThreadLocalRandom.current().nextInt());
    private final String tag = SipAccount.random();
    private String callId;
    private String local;
    private String remote;
    private String target;
    private List<String> route = new ArrayList<>();
    private int cseq = 1;
    private SipMessage invite;
    private SipTransport.Way back;
    private SipMessage lastAnswer;
    private SipAccount.Transaction outbound;
    private final CountDownLatch acknowledged = new CountDownLatch(1);
    private volatile boolean answered;
    private final AtomicBoolean ended = new AtomicBoolean();
    private DatagramSocket media;
    private XmppLink link;
    private MucRoom room;
    private MucRoom lobby;
    private ScheduledFuture<?> patience;
    /** What becomes of somebody in the lobby: empty when he is let in, else why not. */
    private final BlockingQueue<String> verdict = new LinkedBlockingQueue<>();
    private final Set<String> others = ConcurrentHashMap.newKeySet();

    /** An incoming call. */
    Call(Gateway gateway, SipAccount account, SipMessage invite, SipTransport.Way back) {
        this.gateway = gateway;
        this.account = account;
        this.outgoing = false;
        this.invite = invite;
        this.back = back;
        callId = invite.first("Call-ID");
        local = invite.first("To") + ";tag=" + tag;
        remote = invite.first("From");
        target = invite.first("Contact") == null ? SipMessage.address(remote) : SipMessage.address(invite.first("Contact"));
        route = new ArrayList<>(invite.all("Record-Route"));
        name = SipMessage.user(remote);
    }

    /** An outgoing call. */
    Call(Gateway gateway, SipAccount account, String number) {
        this.gateway = gateway;
        this.account = account;
        this.outgoing = true;
        name = number;
        callId = SipAccount.random() + "@jigasi";
    }

    String callId() {
        return callId;
    }

    int participants() {
        return room == null || !room.joined() ? 0 : others.size();
    }

    boolean inTheRoom() {
        return room != null && room.joined();
    }

    // ---- the meeting --------------------------------------------------------------------------------------------

    /** Asks the focus for the meeting and takes a seat. */
    void enter(EntityBareJid where, String password) throws Exception {
        Settings settings = gateway.settings();
        String base = where.getDomain().toString().replaceFirst("^(conference|muc)\\.", "");
        XmppLink.Settings login = new XmppLink.Settings();
        login.name = "call-" + resource;
        login.host = settings.own("xmpp.acc.SERVER_ADDRESS", base);
        login.port = Integer.parseInt(settings.own("xmpp.acc.SERVER_PORT", "5222"));
        login.security = "true".equals(settings.own("xmpp.acc.ALLOW_NON_SECURE")) ? SecurityMode.ifpossible : SecurityMode.required;
        String user = settings.own("xmpp.acc.USER_ID");
        if (user != null && "false".equals(settings.own("xmpp.acc.ANONYMOUS_AUTH"))) {
            // A name of its own for each call, as on a host where one secret is good for all names.
            login.username = user.substring(0, user.indexOf('@')) + ("true".equals(settings.own("xmpp.acc.UNIQUE_USER_ID")) ? "-" + resource : "");
            login.domain = JidCreate.domainBareFrom(user.substring(user.indexOf('@') + 1));
            login.password = settings.own("xmpp.acc.PASS");
        } else {
            login.domain = JidCreate.domainBareFrom(base);
            login.anonymous = true;
        }
        link = new XmppLink(login);
        CountDownLatch in = new CountDownLatch(1);
        link.addListener(new XmppLink.Listener() {
            @Override
            public void authenticated(boolean resumed) {
                in.countDown();
            }

            @Override
            public void lost() {
                Periodic.io(() -> end("the connection to Prosody is gone"));
            }
        });
        link.connection().registerIQRequestHandler(
                new AbstractIqRequestHandler(JINGLE[0], JINGLE[1], IQ.Type.set, AbstractIqRequestHandler.Mode.sync) {
                    @Override
                    public IQ handleIQRequest(IQ request) {
                        LOG.info(name + ": " + ((XmlIq) request).payload().attr("action") + " of the focus");
                        patience.cancel(false);
                        return IQ.createResultIQ(request);
                    }
                });
        link.start();
        if (!in.await(15, TimeUnit.SECONDS)) {
            throw new IOException("no login at " + login.host + " for " + login.domain);
        }
        Xml ask = Xml.of("conference", "http://jitsi.org/protocol/focus").attr("room", where).attr("machine-uid", resource);
        IQ ready = link.ask(XmlIq.set(JidCreate.domainBareFrom("focus." + base), ask));
        if (ready == null || ready.getType() == IQ.Type.error) {
            // The real one goes on, too: Prosody holds it back until the focus is there.
            LOG.severe("Could not invite the focus to the conference: " + (ready == null ? "no answer" : ready.getError()));
        }
        // However long it is for something else, nobody waits longer than this for the focus to begin.
        Duration longest = Duration.ofMillis(Long.parseLong(settings.own("JVB_INVITE_TIMEOUT", "30000")));
        patience = Periodic.after(longest, () -> Periodic.io(() -> end("no invitation of the focus within " + longest.toSeconds() + " s")));
        room = new MucRoom(link, where, Resourcepart.from(resource));
        room.setPassword(password);
        room.listen(this::seen);
        room.setExtension(nick());
        Xml features = Xml.of("features", "jabber:client");
        features.child("feature").attr("var", "http://jitsi.org/protocol/jigasi");
        features.child("feature").attr("var", "urn:xmpp:jingle:apps:rtp:audio");
        room.setExtension(features);
        try {
            room.join();
        } catch (XMPPException.XMPPErrorException e) {
            Xml address = Xml.of((ExtensionElement) e.getStanzaError().getExtension("lobbyroom", "http://jitsi.org/jitmeet"));
            if (e.getStanzaError().getCondition() != Condition.registration_required || address == null) {
                throw e;
            }
            waitIn(JidCreate.entityBareFrom(address.text().trim()), where);
            room.join();
        }
        status("Initializing Call");
        LOG.info(name + " joined " + where + " as " + resource);
        gateway.publish();
    }

    private Xml nick() {
        return Xml.of("nick", "http://jabber.org/protocol/nick").text(name);
    }

    /** Stands in the lobby until somebody lets him in, or it is closed, or nobody does. */
    private void waitIn(EntityBareJid address, EntityBareJid where) throws Exception {
        LOG.info("Lobby enabled by moderator! Will try to join lobby!");
        EntityFullJid seat = JidCreate.entityFullFrom(address, Resourcepart.from(resource));
        AtomicBoolean out = new AtomicBoolean();
        StanzaListener listener = stanza -> {
            MUCUser user = MUCUser.from(stanza);
            if (user == null) {
                return;
            }
            if (stanza instanceof Presence && seat.equals(stanza.getFrom()) && ((Presence) stanza).getType() == Presence.Type.unavailable) {
                out.set(true);
                boolean open = user.getDestroy() != null && user.getDestroy().getJid() != null;
                verdict.add(open ? "" : user.getDestroy() != null ? "the meeting is over" : "it was sent away from the lobby");
            } else if (stanza instanceof Message && stanza.getFrom().asBareJid().equals(where) && user.getInvite() != null) {
                verdict.add("");
            }
        };
        link.connection().addAsyncStanzaListener(listener, stanza -> stanza instanceof Presence || stanza instanceof Message);
        lobby = new MucRoom(link, address, Resourcepart.from(resource));
        lobby.setExtension(nick());
        lobby.join();
        LOG.info(name + " waits in " + address);
        String why = verdict.take();
        link.connection().removeAsyncStanzaListener(listener);
        MucRoom left = lobby;
        lobby = null;
        if (!out.get()) {
            // Of a lobby that is closed, nobody would answer, and Smack would wait for it.
            left.leave();
        }
        if (!why.isEmpty()) {
            throw new IOException(why);
        }
        LOG.info(name + " is let in");
    }

    private void seen(Presence presence) {
        Resourcepart nick = presence.getFrom().getResourceOrNull();
        if (nick == null || nick.toString().equals(resource)) {
            if (presence.getType() == Presence.Type.unavailable) {
                Periodic.io(() -> end("it was put out of the room"));
            }
            return;
        }
        if (presence.getType() == Presence.Type.unavailable) {
            others.remove(nick.toString());
            if (nick.toString().equals(gateway.settings().own("FOCUS_RESOURCE", "focus"))) {
                Periodic.io(() -> end("the focus left"));
            }
        } else if (!nick.toString().equals("focus")) {
            others.add(nick.toString());
        }
        Periodic.io(gateway::publish);
    }

    private void status(String text) {
        if (inTheRoom()) {
            // What the client of the meeting shows beside the caller.
            room.setExtension(Xml.of("status", "jabber:client").text(text));
        }
    }

    // ---- SIP ----------------------------------------------------------------------------------------------------

    /** The number and the name of the suite for an answer: the first that is offered and enabled; of an offer, the first that is enabled. */
    private Map.Entry<String, String> suite(String offer) {
        List<String> enabled = List.of(gateway.header("SDES_CIPHER_SUITES", "").split(","));
        if (offer == null) {
            return Map.entry("1", enabled.get(0));
        }
        Matcher matcher = Pattern.compile("(?m)^a=crypto:(\\d+) (\\w+) ").matcher(offer);
        while (matcher.find()) {
            if (enabled.contains(matcher.group(2))) {
                return Map.entry(matcher.group(1), matcher.group(2));
            }
        }
        return null;
    }

    private String sdp(Map.Entry<String, String> crypto) throws IOException {
        boolean secure = crypto != null;
        if (media == null) {
            media = gateway.mediaSocket();
        }
        String address = account.localHost();
        StringBuilder out = new StringBuilder("v=0\r\no=jigasi 1 1 IN IP4 " + address + "\r\ns=-\r\nc=IN IP4 " + address + "\r\nt=0 0\r\n")
                .append("m=audio ").append(media.getLocalPort()).append(secure ? " RTP/SAVP" : " RTP/AVP").append(" 0 101\r\n")
                .append("a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n");
        if (secure) {
            byte[] key = new byte[30];
            new java.security.SecureRandom().nextBytes(key);
            out.append("a=crypto:").append(crypto.getKey()).append(' ').append(crypto.getValue()).append(" inline:").append(java.util.Base64.getEncoder().encodeToString(key)).append("\r\n");
        }
        return out.toString();
    }

    /** An incoming call: find its room, enter, and only then answer. */
    void take() {
        try {
            boolean offersKeys = invite.body.contains("RTP/SAVP");
            Map.Entry<String, String> crypto = offersKeys ? suite(invite.body) : null;
            if (offersKeys && (!gateway.encrypts() || crypto == null) || !offersKeys && gateway.insistsOnKeys()) {
                refuse(488, "Not Acceptable Here");
                return;
            }
            String where = invite.first(gateway.header("JITSI_MEET_ROOM_HEADER_NAME", "Jitsi-Conference-Room"));
            if (where == null) {
                Thread.sleep(1000); // as long as the real one waits for another way to say it
                where = gateway.settings().own("DEFAULT_JVB_ROOM_NAME");
            }
            if (where == null) {
                LOG.warning("No JVB room name provided in INVITE header");
                refuse(486, "Busy Here");
                return;
            }
            if (!where.contains("@")) {
                where += "@" + gateway.settings().own("MUC_SERVICE_ADDRESS");
            }
            enter(JidCreate.entityBareFrom(where), invite.first(gateway.header("JITSI_MEET_ROOM_PASS_HEADER_NAME", "Jitsi-Conference-Room-Pass")));
            synchronized (this) {
                if (ended.get()) {
                    leave();
                    return;
                }
                lastAnswer = invite.response(200, "OK", tag).add("Contact", account.contact()).add("Content-Type", "application/sdp");
                lastAnswer.body = sdp(crypto);
                answered = true;
            }
            for (long wait = 500; wait <= 8000; wait *= 2) {
                back.send(lastAnswer);
                if (acknowledged.await(wait, TimeUnit.MILLISECONDS)) {
                    status("Connected");
                    return;
                }
            }
            end("nobody acknowledged the answer");
        } catch (Exception e) {
            LOG.log(Level.WARNING, name + ": " + e.getMessage(), e);
            if (!ended.get()) {
                refuse(500, "Server Internal Error");
            }
        }
    }

    private void refuse(int status, String reason) {
        LOG.info("Refused the call of " + name + ": " + status + " " + reason);
        try {
            lastAnswer = invite.response(status, reason, tag);
            back.send(lastAnswer);
        } catch (IOException e) {
            LOG.warning(e.getMessage());
        }
        ended.set(true);
        leave();
    }

    /** What comes in this dialog; true when it was for us. */
    synchronized void request(SipMessage request, SipTransport.Way way) throws IOException {
        switch (request.method()) {
            case "INVITE":
                if (lastAnswer != null) {
                    way.send(lastAnswer);
                }
                break;
            case "ACK":
                acknowledged.countDown();
                break;
            case "CANCEL":
                way.send(request.response(200, "OK", tag));
                if (!answered) {
                    Periodic.io(() -> refuse(487, "Request Terminated"));
                }
                break;
            case "BYE":
                way.send(request.response(200, "OK", tag));
                if (ended.compareAndSet(false, true)) {
                    LOG.info(name + " hung up");
                    Periodic.io(this::leave);
                }
                break;
            default:
                way.send(request.response(501, "Not Implemented", tag));
        }
    }

    private SipMessage inDialog(String method, int number) throws IOException {
        SipMessage request = new SipMessage(method + " " + target + " SIP/2.0").add("Via", account.via()).add("Max-Forwards", 70);
        route.forEach(one -> request.add("Route", one));
        return request.add("From", local).add("To", remote).add("Call-ID", callId).add("CSeq", number + " " + method);
    }

    /** An outgoing call, when the meeting is entered. */
    void dial(EntityBareJid where, String prefix) {
        try {
            String uri = name.matches("sips?:.*") ? name : "sip:" + prefix + name + (name.contains("@") ? "" : "@" + account.domain);
            local = "<" + account.uri() + ">;tag=" + tag;
            remote = "<" + uri + ">";
            target = uri;
            SipMessage answer = invite(uri, where, null, null);
            if (answer != null && (answer.status() == 401 || answer.status() == 407)) {
                acknowledge(answer, uri);
                String name = answer.status() == 407 ? "Proxy-Authorization" : "Authorization";
                cseq++;
                answer = invite(uri, where, name, account.authorization(answer, "INVITE", uri));
            }
            if (answer == null || answer.status() >= 300) {
                if (answer != null) {
                    acknowledge(answer, uri);
                }
                String why = answer == null ? "no answer" : answer.status() + " " + answer.reason();
                LOG.info("SIP call to " + name + " ended: " + why);
                ended.set(true);
                // The client shows the reason for five seconds.
                status(answer == null ? "Timeout" : answer.reason());
                Periodic.after(Duration.ofSeconds(5), () -> Periodic.io(this::leave));
                return;
            }
            remote = answer.first("To");
            target = answer.first("Contact") == null ? uri : SipMessage.address(answer.first("Contact"));
            route = new ArrayList<>(answer.all("Record-Route"));
            Collections.reverse(route);
            account.send(inDialog("ACK", cseq));
            answered = true;
            LOG.info("SIP call to " + name + " is answered");
            status("Connected");
            if (ended.get()) {
                bye();
            }
        } catch (Exception e) {
            LOG.log(Level.WARNING, name + ": " + e.getMessage(), e);
            ended.set(true);
            leave();
        }
    }

    private SipMessage invite(String uri, EntityBareJid where, String header, String credentials) throws IOException {
        SipMessage request = new SipMessage("INVITE " + uri + " SIP/2.0").add("Via", account.via()).add("Max-Forwards", 70)
                .add("From", local).add("To", remote).add("Call-ID", callId).add("CSeq", cseq + " INVITE").add("Contact", account.contact())
                .add("User-Agent", "jigasi (campus.jitsi stand-in)").add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
                .add(gateway.header("JITSI_MEET_ROOM_HEADER_NAME", "Jitsi-Conference-Room"), where).add("JigasiCallDirection", "out");
        if (credentials != null) {
            request.add(header, credentials);
        }
        request.add("Content-Type", "application/sdp");
        request.body = sdp(gateway.encrypts() ? suite(null) : null);
        outbound = account.new Transaction(request);
        boolean again = true;
        try {
            while (true) {
                SipMessage answer = outbound.next(Duration.ofSeconds(again ? 8 : 120), again);
                if (answer == null || answer.status() >= 200) {
                    return answer;
                }
                again = false;
                if (answer.status() >= 180) {
                    status("Ringing...");
                }
            }
        } finally {
            outbound.end();
        }
    }

    /** The ACK of a refusal belongs to the INVITE's transaction. */
    private void acknowledge(SipMessage answer, String uri) throws IOException {
        account.send(new SipMessage("ACK " + uri + " SIP/2.0").add("Via", outbound.request.first("Via")).add("Max-Forwards", 70)
                .add("From", answer.first("From")).add("To", answer.first("To")).add("Call-ID", callId).add("CSeq", answer.cseq() + " ACK"));
    }

    private void bye() {
        try {
            if (outgoing) {
                account.ask(inDialog("BYE", ++cseq));
            } else {
                String mine = local;
                SipMessage request = new SipMessage("BYE " + target + " SIP/2.0").add("Via", account.via()).add("Max-Forwards", 70);
                route.forEach(one -> request.add("Route", one));
                request.add("From", mine).add("To", remote).add("Call-ID", callId).add("CSeq", ++cseq + " BYE");
                back.send(request);
            }
        } catch (IOException e) {
            LOG.warning("BYE: " + e.getMessage());
        }
    }

    /** Ends both sides. */
    void end(String why) {
        if (!ended.compareAndSet(false, true)) {
            return;
        }
        LOG.info(name + ": the call ends: " + why);
        if (answered) {
            bye();
        } else if (!outgoing) {
            refuse(480, "Temporarily Unavailable");
            return;
        } else if (outbound != null) {
            cancel();
        }
        leave();
    }

    private void cancel() {
        try {
            SipMessage request = outbound.request;
            SipMessage cancel = new SipMessage("CANCEL " + request.uri() + " SIP/2.0");
            for (String header : new String[] {"Via", "From", "To", "Call-ID"}) {
                cancel.add(header, request.first(header));
            }
            account.send(cancel.add("Max-Forwards", 70).add("CSeq", cseq + " CANCEL"));
        } catch (IOException e) {
            LOG.warning("CANCEL: " + e.getMessage());
        }
    }

    private void leave() {
        verdict.add("the call is over");
        if (patience != null) {
            patience.cancel(false);
        }
        if (room != null) {
            room.leave();
        }
        if (link != null) {
            link.stop();
        }
        if (media != null) {
            media.close();
        }
        gateway.over(this);
    }
}
