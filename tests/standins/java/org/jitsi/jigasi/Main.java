// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.jigasi;

/** Entry point under the name that jigasi.sh of the real package starts. */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) throws Exception {
        campus.jitsi.standin.jigasi.Jigasi.main(Main.class, args);
    }
}
