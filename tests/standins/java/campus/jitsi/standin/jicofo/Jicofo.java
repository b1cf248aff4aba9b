// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jicofo;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Version;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Start and stop of the stand-in for Jicofo, the conference focus. */
public final class Jicofo {
    private static final Logger LOG = Logger.getLogger(Jicofo.class.getName());

    private Jicofo() {
    }

    /**
     * Runs until a signal. A broken HOCON file throws out of here with its stack trace and exit code 1, as in the real
     * program; a value that cannot be used is logged as "Failed to start jicofo" and the process ends with 0.
     */
    public static void main(Class<?> main) {
        String version = Version.of(main, "1.0-0");
        LOG.info("Starting Jicofo " + version + " (" + Version.NOTICE + ").");
        Thread.setDefaultUncaughtExceptionHandler((thread, e) ->
                LOG.log(Level.SEVERE, "An uncaught exception occurred in thread=" + thread, e));
        if (System.getProperty("config.file", "").isEmpty()) {
            LOG.warning("Required property config.file is missing. Set with -Dconfig.file=");
            return;
        }
        Conf conf = Conf.load();
        Focus focus;
        try {
            focus = new Focus(new JicofoConfig(conf), version.replaceFirst("-", "."));
            focus.start();
        } catch (Exception e) {
            LOG.log(Level.SEVERE, "Failed to start jicofo: ", e);
            return;
        }
        Focus running = focus;
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            LOG.info("Stopping services.");
            running.stop();
        }));
        Object forever = new Object();
        synchronized (forever) {
            try {
                while (true) {
                    forever.wait();
                }
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
