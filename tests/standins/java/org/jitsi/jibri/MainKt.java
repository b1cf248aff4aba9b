// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.jibri;

/** Entry point under the name of the real one. */
public final class MainKt {
    private MainKt() {
    }

    public static void main(String[] args) throws Exception {
        campus.jitsi.standin.jibri.Jibri.main(MainKt.class, args);
    }
}
