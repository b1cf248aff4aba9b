// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.impl.protocol.xmpp.log;

import java.util.logging.Level;
import java.util.logging.Logger;
import org.jivesoftware.smack.XMPPConnection;
import org.jivesoftware.smack.debugger.AbstractDebugger;
import org.jivesoftware.smack.packet.TopLevelStreamElement;

/** Logs every stanza when its logger is set to FINE or finer; named as in jicofo's logging.properties. */
public class PacketDebugger extends AbstractDebugger {
    private static final Logger LOG = Logger.getLogger(PacketDebugger.class.getName());

    private final String id;

    public PacketDebugger(XMPPConnection connection, String id) {
        super(connection);
        this.id = id;
        AbstractDebugger.printInterpreted = true;
    }

    /** True only when a packet file was asked for: jicofo ships the level ALL without the handler. */
    public static boolean isEnabled() {
        String handlers = java.util.logging.LogManager.getLogManager().getProperty("handlers");
        return LOG.isLoggable(Level.FINE) && handlers != null && handlers.contains("XmppPacketsFileHandler");
    }

    @Override
    public void onIncomingStreamElement(TopLevelStreamElement element) {
        LOG.fine(() -> "RCV PKT (" + id + "): " + element.toXML());
    }

    @Override
    public void onOutgoingStreamElement(TopLevelStreamElement element) {
        LOG.fine(() -> "SENT PKT (" + id + "): " + element.toXML());
    }

    @Override
    protected void log(String message) {
        if (!message.startsWith("RECV (") && !message.startsWith("SENT (")) {
            LOG.fine(message);
        }
    }

    @Override
    protected void log(String message, Throwable throwable) {
        LOG.log(Level.WARNING, message, throwable);
    }
}
