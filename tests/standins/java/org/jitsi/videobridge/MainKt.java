// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.videobridge;

/** Entry point under the name that jvb.sh of the real package starts. */
public final class MainKt {
    private MainKt() {
    }

    public static void main(String[] args) {
        campus.jitsi.standin.jvb.Videobridge.main(MainKt.class);
    }
}
