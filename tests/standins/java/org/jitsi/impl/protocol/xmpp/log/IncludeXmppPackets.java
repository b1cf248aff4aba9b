// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.impl.protocol.xmpp.log;

import java.util.logging.Filter;
import java.util.logging.LogRecord;

/** Lets only stanzas into a handler. */
public class IncludeXmppPackets implements Filter {
    @Override
    public boolean isLoggable(LogRecord record) {
        return PacketDebugger.class.getName().equals(record.getLoggerName());
    }
}
