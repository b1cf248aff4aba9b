// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.impl.protocol.xmpp.log;

import java.util.logging.Filter;
import java.util.logging.LogRecord;

/** Keeps stanzas out of a handler; named in jicofo's logging.properties. */
public class ExcludeXmppPackets implements Filter {
    @Override
    public boolean isLoggable(LogRecord record) {
        return !PacketDebugger.class.getName().equals(record.getLoggerName());
    }
}
