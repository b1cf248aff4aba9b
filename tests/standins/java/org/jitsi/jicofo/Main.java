// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.jicofo;

/** Entry point under the name that jicofo.sh of the real package starts. */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) {
        campus.jitsi.standin.jicofo.Jicofo.main(Main.class);
    }
}
