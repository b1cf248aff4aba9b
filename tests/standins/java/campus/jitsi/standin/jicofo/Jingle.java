// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.XmlIq;
import campus.jitsi.standin.common.XmppLink;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jivesoftware.smack.iqrequest.AbstractIqRequestHandler;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError.Condition;

/** Routes incoming Jingle requests (XEP-0166) by session id to the meeting that owns the session. */
final class Jingle extends AbstractIqRequestHandler {
    static final String NS = "urn:xmpp:jingle:1";
    static final String FOCUS_NS = "http://jitsi.org/protocol/focus";

    private final Map<String, Meeting> sessions = new ConcurrentHashMap<>();

    Jingle() {
        super("jingle", NS, IQ.Type.set, Mode.sync);
    }

    void register(String sid, Meeting meeting) {
        sessions.put(sid, meeting);
    }

    void forget(String sid) {
        if (sid != null) {
            sessions.remove(sid);
        }
    }

    int count() {
        return sessions.size();
    }

    @Override
    public IQ handleIQRequest(IQ request) {
        XmlIq iq = (XmlIq) request;
        String sid = iq.payload().attr("sid");
        Meeting meeting = sid == null ? null : sessions.get(sid);
        if (meeting == null) {
            return XmlIq.error(request, Condition.bad_request, null);
        }
        if (iq.payload().attr("action") == null) {
            return XmlIq.error(request, Condition.bad_request, "Missing 'action'");
        }
        meeting.jingle(iq);
        return null; // answered by the meeting, in order
    }

    /** Answers a request: with a result, or with the error when there is one. */
    static void answer(XmppLink link, XmlIq request, Condition error, String text) {
        link.send(error == null ? IQ.createResultIQ(request) : XmlIq.error(request, error, text));
    }
}
