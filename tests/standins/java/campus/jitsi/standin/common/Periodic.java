// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/** Two shared thread pools: timers, and work that may block. A task that throws is logged, never lost. */
public final class Periodic {
    private static final Logger LOG = Logger.getLogger(Periodic.class.getName());
    private static final ThreadFactory DAEMONS = runnable -> {
        Thread thread = new Thread(runnable);
        thread.setDaemon(true);
        return thread;
    };
    private static final ScheduledExecutorService TIMER = Executors.newScheduledThreadPool(2, DAEMONS);
    private static final ExecutorService IO = Executors.newCachedThreadPool(DAEMONS);

    private Periodic() {
    }

    public static ScheduledFuture<?> every(Duration first, Duration period, Runnable task) {
        return TIMER.scheduleWithFixedDelay(
                () -> guarded(task).run(), first.toMillis(), period.toMillis(), TimeUnit.MILLISECONDS);
    }

    public static ScheduledFuture<?> after(Duration delay, Runnable task) {
        return TIMER.schedule(guarded(task), delay.toMillis(), TimeUnit.MILLISECONDS);
    }

    public static Future<?> io(Runnable task) {
        return IO.submit(guarded(task));
    }

    private static Runnable guarded(Runnable task) {
        return () -> {
            try {
                task.run();
            } catch (Throwable t) {
                LOG.log(Level.SEVERE, "Task failed", t);
            }
        };
    }
}
