// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.impl.protocol.xmpp.log;

import java.io.IOException;
import java.util.logging.FileHandler;
import java.util.logging.Level;

/** The optional packet log; pattern, limit and count come from logging.properties. */
public class XmppPacketsFileHandler extends FileHandler {
    public XmppPacketsFileHandler() throws IOException {
        setFilter(new IncludeXmppPackets());
        setLevel(Level.ALL);
        setFormatter(new org.jitsi.utils.logging2.JitsiLogFormatter());
    }
}
