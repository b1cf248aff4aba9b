// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigObject;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.logging.Logger;

/**
 * The configuration as the real programs see it (jicoco's JitsiConfig).
 *
 * <p>New style: the file named by {@code -Dconfig.file}, then application.conf of the jars, then every reference.conf,
 * resolved together. Old style: {@code sip-communicator.properties} in the home directory that two other system
 * properties name. Where both know an option, the old one wins.
 */
public final class Conf {
    private static final Logger LOG = Logger.getLogger(Conf.class.getName());

    private final Config config;
    private final Properties legacy = new Properties();

    private Conf(Config config) {
        this.config = config;
    }

    /** @throws com.typesafe.config.ConfigException when the file does not parse or a substitution has no value. */
    public static Conf load() {
        Config merged = ConfigFactory.parseApplicationReplacement().orElse(ConfigFactory.empty())
                .withFallback(ConfigFactory.parseResourcesAnySyntax("application"))
                .withFallback(ConfigFactory.defaultReferenceUnresolved())
                .resolve();
        Conf conf = new Conf(merged);
        conf.loadLegacy();
        return conf;
    }

    private void loadLegacy() {
        String location = System.getProperty("net.java.sip.communicator.SC_HOME_DIR_LOCATION");
        String name = System.getProperty("net.java.sip.communicator.SC_HOME_DIR_NAME");
        if (location != null && name != null) {
            Path file = Path.of(location, name, "sip-communicator.properties");
            if (Files.isReadable(file)) {
                try (InputStream in = Files.newInputStream(file)) {
                    legacy.load(in);
                    LOG.info("Read " + legacy.size() + " legacy properties from " + file);
                } catch (IOException e) {
                    LOG.warning("Cannot read " + file + ": " + e.getMessage());
                }
            }
        }
        legacy.putAll(System.getProperties());
    }

    public String legacy(String property) {
        return legacy.getProperty(property);
    }

    /** Legacy properties that start with the prefix; keys keep it. */
    public Map<String, String> legacyByPrefix(String prefix) {
        Map<String, String> found = new LinkedHashMap<>();
        for (String key : legacy.stringPropertyNames()) {
            if (key.startsWith(prefix)) {
                found.put(key, legacy.getProperty(key));
            }
        }
        return found;
    }

    public boolean has(String path) {
        return config.hasPath(path);
    }

    public String string(String path) {
        return config.getString(path);
    }

    public String optString(String path) {
        return config.hasPath(path) ? config.getString(path) : null;
    }

    public int integer(String path) {
        return config.getInt(path);
    }

    public int integer(String path, int fallback) {
        return config.hasPath(path) ? config.getInt(path) : fallback;
    }

    public double number(String path) {
        return config.getDouble(path);
    }

    public boolean flag(String path) {
        return config.getBoolean(path);
    }

    public Duration duration(String path) {
        return config.getDuration(path);
    }

    public List<String> strings(String path) {
        return config.getStringList(path);
    }

    public List<? extends Config> objects(String path) {
        return config.getConfigList(path);
    }

    public ConfigObject map(String path) {
        return config.getObject(path);
    }
}
