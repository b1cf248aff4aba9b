// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.lang.reflect.Method;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.logging.Logger;
import javax.xml.namespace.QName;
import org.jivesoftware.smack.PresenceListener;
import org.jivesoftware.smack.SmackException;
import org.jivesoftware.smack.XMPPException;
import org.jivesoftware.smack.packet.Presence;
import org.jivesoftware.smack.packet.PresenceBuilder;
import org.jivesoftware.smackx.muc.MucEnterConfiguration;
import org.jivesoftware.smackx.muc.MultiUserChat;
import org.jivesoftware.smackx.muc.MultiUserChatException;
import org.jivesoftware.smackx.muc.MultiUserChatManager;
import org.jivesoftware.smackx.xdata.form.FillableForm;
import org.jivesoftware.smackx.xdata.form.Form;
import org.jxmpp.jid.EntityBareJid;
import org.jxmpp.jid.EntityFullJid;
import org.jxmpp.jid.impl.JidCreate;
import org.jxmpp.jid.parts.Resourcepart;

/** Our seat in one MUC room (XEP-0045): join, own presence with extensions, leave. */
public final class MucRoom {
    private static final Logger LOG = Logger.getLogger(MucRoom.class.getName());

    private final XmppLink link;
    private final EntityBareJid room;
    private final Resourcepart nick;
    private final MultiUserChat muc;
    private final Map<QName, Xml> extensions = new LinkedHashMap<>();
    private PresenceListener presenceListener;
    private String password;
    /** Stream of the link on which we joined. */
    private int stream;

    public MucRoom(XmppLink link, EntityBareJid room, Resourcepart nick) {
        this.link = link;
        this.room = room;
        this.nick = nick;
        this.muc = MultiUserChatManager.getInstanceFor(link.connection()).getMultiUserChat(room);
    }

    public EntityBareJid jid() {
        return room;
    }

    public EntityFullJid occupantJid() {
        return JidCreate.entityFullFrom(room, nick);
    }

    public XmppLink link() {
        return link;
    }

    public boolean joined() {
        return muc.isJoined();
    }

    /** Presence of every occupant, ourselves included. Set before joining. */
    public void listen(PresenceListener listener) {
        presenceListener = listener;
        muc.addParticipantListener(listener);
    }

    /** The room's own password, when it has one. Set before joining. */
    public void setPassword(String password) {
        this.password = password;
    }

    /**
     * Creates or enters the room.
     *
     * @return true when this join created the room
     */
    public boolean join() throws SmackException, XMPPException, InterruptedException {
        if (muc.isJoined()) {
            vacate();
        }
        stream = link.stream();
        try {
            if (password != null || !extensions.isEmpty()) {
                return muc.createOrJoin(entry()) != null;
            }
            return muc.createOrJoin(nick) != null;
        } catch (MultiUserChatException e) {
            throw new SmackException.SmackMessageException(e.getMessage());
        }
    }

    private MucEnterConfiguration entry() {
        MucEnterConfiguration.Builder builder = muc.getEnterConfigurationBuilder(nick).withPassword(password);
        PresenceBuilder presence = link.connection().getStanzaFactory().buildPresenceStanza();
        synchronized (extensions) {
            extensions.values().forEach(presence::addExtension);
        }
        return builder.withPresence(presence.build()).build();
    }

    /**
     * Leaves. A seat of an earlier stream is only forgotten: the server does not know it any more, and may not even
     * answer, for which Smack would wait.
     */
    private void vacate() throws SmackException, XMPPException, InterruptedException {
        if (stream == link.stream()) {
            muc.leave();
            return;
        }
        try {
            // Smack has no public way to say this.
            Method forget = MultiUserChat.class.getDeclaredMethod("userHasLeft");
            forget.setAccessible(true);
            forget.invoke(muc);
        } catch (ReflectiveOperationException e) {
            LOG.warning("Cannot forget " + room + ": " + e);
            muc.leave();
        }
    }

    /** Asks for the room's form and makes real JIDs visible to all; returns the form as it was. */
    public Form configure() throws SmackException, XMPPException, InterruptedException {
        Form form = muc.getConfigurationForm();
        FillableForm answer = form.getFillableForm();
        answer.setAnswer("muc#roomconfig_whois", "anyone");
        muc.sendConfigurationForm(answer);
        return form;
    }

    /** Adds or replaces an extension of our presence and sends the presence when joined. */
    public void setExtension(Xml extension) {
        synchronized (extensions) {
            extensions.put(extension.getQName(), extension);
        }
        sendPresence();
    }

    public void removeExtension(String name, String namespace) {
        boolean removed;
        synchronized (extensions) {
            removed = extensions.remove(new QName(namespace, name)) != null;
        }
        if (removed) {
            sendPresence();
        }
    }

    public boolean hasExtension(String name, String namespace) {
        synchronized (extensions) {
            return extensions.containsKey(new QName(namespace, name));
        }
    }

    private void sendPresence() {
        if (!muc.isJoined()) {
            return;
        }
        PresenceBuilder presence = link.connection().getStanzaFactory().buildPresenceStanza().to(occupantJid());
        synchronized (extensions) {
            extensions.values().forEach(presence::addExtension);
        }
        link.send(presence.build());
    }

    public void leave() {
        if (presenceListener != null) {
            muc.removeParticipantListener(presenceListener);
        }
        try {
            if (muc.isJoined()) {
                vacate();
            } else if (link.loggedIn()) {
                // A join that timed out may still have seated us.
                link.send(link.connection().getStanzaFactory().buildPresenceStanza()
                        .ofType(Presence.Type.unavailable).to(occupantJid()).build());
            }
        } catch (SmackException | XMPPException e) {
            LOG.info("Leaving " + room + ": " + e.getMessage());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
