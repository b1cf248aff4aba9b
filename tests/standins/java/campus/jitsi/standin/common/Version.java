// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

/** Version of the jar a class came from, as the real programs read theirs from the manifest. */
public final class Version {
    /** Sent wherever a human may look for what is running. */
    public static final String NOTICE = "campus.jitsi stand-in: not the real program";

    private Version() {
    }

    public static String of(Class<?> main, String fallback) {
        String version = main.getPackage().getImplementationVersion();
        return version == null ? fallback : version;
    }
}
