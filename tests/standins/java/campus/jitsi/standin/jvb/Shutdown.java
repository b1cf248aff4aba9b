// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Periodic;
import java.time.Duration;
import java.util.logging.Logger;

/**
 * RUNNING, then GRACEFUL_SHUTDOWN until few enough participants are left or the time is over, then SHUTTING_DOWN, a
 * last delay for jicofo to move what is left, then the end (upstream's ShutdownManager).
 */
final class Shutdown {
    private static final Logger LOG = Logger.getLogger(Shutdown.class.getName());

    /** How far it is. */
    enum State { RUNNING, GRACEFUL_SHUTDOWN, SHUTTING_DOWN }

    private final Duration longest;
    private final int fewEnough;
    private final Duration delay;
    private final Runnable end;
    private State state = State.RUNNING;

    Shutdown(Conf conf, Runnable end) {
        this.longest = conf.duration("videobridge.shutdown.graceful-shutdown-max-duration");
        this.fewEnough = conf.integer("videobridge.shutdown.graceful-shutdown-min-participants");
        this.delay = conf.duration("videobridge.shutdown.shutting-down-delay");
        this.end = end;
    }

    synchronized State state() {
        return state;
    }

    synchronized boolean isGraceful() {
        return state == State.GRACEFUL_SHUTDOWN;
    }

    synchronized void request(boolean graceful, long participants) {
        LOG.info("Received shutdown request, graceful=" + graceful);
        if (!graceful) {
            finish();
        } else if (state == State.RUNNING) {
            state = State.GRACEFUL_SHUTDOWN;
            LOG.info("Entered graceful shutdown mode for up to " + longest);
            Periodic.after(longest, this::finish);
        }
        participants(participants);
    }

    synchronized void participants(long count) {
        if (state == State.GRACEFUL_SHUTDOWN && count <= fewEnough) {
            LOG.info("Entering SHUTTING_DOWN with " + count + " participants.");
            finish();
        }
    }

    private synchronized void finish() {
        if (state == State.SHUTTING_DOWN) {
            return;
        }
        state = State.SHUTTING_DOWN;
        LOG.info("Will shut down in " + delay);
        Periodic.after(delay, end);
    }
}
