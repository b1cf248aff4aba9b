// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;

/** sip-communicator.properties, as the stack in jigasi reads it. System properties win. */
final class Settings {
    static final String SIP = "net.java.sip.communicator.impl.protocol.sip";
    static final String XMPP = "net.java.sip.communicator.impl.protocol.jabber";
    private static final String OWN = "org.jitsi.jigasi.";

    private final Properties properties = new Properties();

    Settings(Path file) throws IOException {
        if (Files.isReadable(file)) {
            try (InputStream in = Files.newInputStream(file)) {
                properties.load(in);
            }
        }
        properties.putAll(System.getProperties());
    }

    String get(String name) {
        String value = properties.getProperty(name);
        return value == null || value.trim().isEmpty() ? null : value.trim();
    }

    String own(String name) {
        return get(OWN + name);
    }

    String own(String name, String fallback) {
        return own(name) == null ? fallback : own(name);
    }

    int number(String name, int fallback) {
        return get(name) == null ? fallback : Integer.parseInt(get(name));
    }

    /**
     * The accounts of a protocol: a key that is the prefix and one more word, whose value starts with "acc" (AccountManager). The settings
     * of an account are the keys below it.
     */
    List<Map<String, String>> accounts(String prefix) {
        List<Map<String, String>> found = new ArrayList<>();
        for (String name : new TreeSet<>(properties.stringPropertyNames())) {
            if (name.startsWith(prefix + ".") && name.indexOf('.', prefix.length() + 1) < 0 && String.valueOf(get(name)).startsWith("acc")) {
                found.add(below(name + "."));
            }
        }
        return found;
    }

    Map<String, String> below(String prefix) {
        Map<String, String> found = new LinkedHashMap<>();
        for (String name : properties.stringPropertyNames()) {
            if (name.startsWith(prefix) && get(name) != null) {
                found.put(name.substring(prefix.length()), get(name));
            }
        }
        return found;
    }
}
