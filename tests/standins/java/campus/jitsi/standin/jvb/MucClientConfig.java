// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigValue;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.logging.Logger;
import org.jivesoftware.smack.ConnectionConfiguration.SecurityMode;

/**
 * One entry of {@code videobridge.apis.xmpp-client.configs}: an account and the rooms to join with it (jicoco's
 * MucClientConfiguration). Option names are case-insensitive, values are strings, MUC_JIDS is comma separated.
 */
final class MucClientConfig {
    private static final Logger LOG = Logger.getLogger(MucClientConfig.class.getName());
    private static final String LEGACY_PREFIX = "org.jitsi.videobridge.xmpp.user.";

    final String id;
    private final Map<String, String> values = new LinkedHashMap<>();

    MucClientConfig(String id) {
        this.id = id;
    }

    MucClientConfig set(String name, Object value) {
        if (value != null) {
            values.put(name.toUpperCase(Locale.ROOT), value.toString());
        }
        return this;
    }

    String hostname() {
        return values.get("HOSTNAME");
    }

    int port() {
        String port = values.get("PORT");
        return port == null || port.isEmpty() ? 5222 : Integer.parseInt(port);
    }

    /** The XMPP domain: what the server's certificate must be for. */
    String domain() {
        return values.getOrDefault("DOMAIN", hostname());
    }

    String username() {
        return values.get("USERNAME");
    }

    String password() {
        return values.get("PASSWORD");
    }

    String nickname() {
        return values.get("MUC_NICKNAME");
    }

    List<String> rooms() {
        List<String> rooms = new ArrayList<>();
        for (String room : values.getOrDefault("MUC_JIDS", "").split(",")) {
            if (!room.isBlank()) {
                rooms.add(room.trim());
            }
        }
        return rooms;
    }

    boolean trustAll() {
        return Boolean.parseBoolean(values.get("DISABLE_CERTIFICATE_VERIFICATION"));
    }

    /** Unset means: TLS is required, except to a server on this very machine. */
    SecurityMode security() {
        String mode = values.get("SECURITY_MODE");
        if (mode != null) {
            return SecurityMode.valueOf(mode);
        }
        boolean loopback = List.of("localhost", "127.0.0.1", "::1").contains(hostname());
        return loopback ? SecurityMode.ifpossible : SecurityMode.required;
    }

    /** Names of required options that are missing or have an unusable value. */
    List<String> missing() {
        List<String> missing = new ArrayList<>();
        for (String name : List.of("HOSTNAME", "USERNAME", "PASSWORD", "MUC_JIDS", "MUC_NICKNAME")) {
            String value = values.get(name);
            if (value == null || value.isEmpty()) {
                missing.add(name);
            }
        }
        String mode = values.get("SECURITY_MODE");
        if (mode != null) {
            try {
                SecurityMode.valueOf(mode);
            } catch (IllegalArgumentException e) {
                missing.add("SECURITY_MODE=" + mode);
            }
        }
        return missing;
    }

    boolean sameAccount(MucClientConfig other) {
        return List.of(hostname(), domain(), username(), port())
                .equals(List.of(other.hostname(), other.domain(), other.username(), other.port()));
    }

    @Override
    public String toString() {
        return id + " (" + username() + "@" + domain() + " via " + hostname() + ":" + port() + ")";
    }

    /**
     * The complete entries. Legacy properties, when there are any, are used instead of the HOCON entries, as the real
     * program looks there first.
     *
     * @throws com.typesafe.config.ConfigException when an entry is not an object.
     */
    static List<MucClientConfig> read(Conf conf) {
        Map<String, MucClientConfig> entries = new LinkedHashMap<>();
        conf.legacyByPrefix(LEGACY_PREFIX).forEach((key, value) -> {
            String[] idAndName = key.substring(LEGACY_PREFIX.length()).split("\\.", 2);
            if (idAndName.length == 2) {
                entries.computeIfAbsent(idAndName[0], MucClientConfig::new).set(idAndName[1], value);
            }
        });
        if (entries.isEmpty()) {
            conf.map("videobridge.apis.xmpp-client.configs").forEach((id, entry) -> {
                if (!(entry instanceof ConfigObject)) {
                    throw new com.typesafe.config.ConfigException.WrongType(entry.origin(),
                            "videobridge.apis.xmpp-client.configs." + id, "OBJECT", entry.valueType().name());
                }
                MucClientConfig config = new MucClientConfig(id);
                for (Map.Entry<String, ConfigValue> option : ((ConfigObject) entry).entrySet()) {
                    config.set(option.getKey(), option.getValue().unwrapped());
                }
                entries.put(id, config);
            });
        }
        return complete(entries.values());
    }

    private static List<MucClientConfig> complete(Collection<MucClientConfig> entries) {
        List<MucClientConfig> complete = new ArrayList<>();
        for (MucClientConfig entry : entries) {
            if (entry.missing().isEmpty()) {
                complete.add(entry);
            } else {
                LOG.warning("Ignoring the incomplete XMPP configuration " + entry.id + ": missing " + entry.missing());
            }
        }
        return complete;
    }
}
