// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.time.Duration;
import java.time.Instant;
import java.util.function.Supplier;
import java.util.logging.Logger;

/**
 * A check that runs on a timer and is only looked up by the APIs (jicoco's HealthChecker): no recent result counts as
 * a failure, a check that takes too long does too. Until the first one, an interval after the start, all is well.
 */
public final class HealthCheck {
    private static final Logger LOG = Logger.getLogger(HealthCheck.class.getName());
    private static final Duration STICKY_GRACE = Duration.ofMinutes(5);

    /** Outcome of one check. A soft failure is HTTP 503, a hard one 500. */
    public static final class Result {
        public final boolean success;
        public final boolean hard;
        public final String message;

        private Result(boolean success, boolean hard, String message) {
            this.success = success;
            this.hard = hard;
            this.message = message;
        }

        public static Result ok() {
            return new Result(true, true, null);
        }

        public static Result failed(String message) {
            return new Result(false, true, message);
        }

        public static Result failedSoftly(String message) {
            return new Result(false, false, message);
        }

        public int httpStatus() {
            return success ? 200 : hard ? 500 : 503;
        }
    }

    private final Duration timeout;
    private final Duration maxDuration;
    private final boolean sticky;
    private final Supplier<Result> check;
    private final Instant started = Instant.now();
    private boolean failedBefore;
    private Instant lastTime = Instant.now();
    private Result last = Result.ok();

    public HealthCheck(Duration interval, Duration timeout, Duration maxDuration, boolean sticky,
            Supplier<Result> check) {
        this.timeout = timeout;
        this.maxDuration = maxDuration;
        this.sticky = sticky;
        this.check = check;
        Periodic.every(interval, interval, this::run);
    }

    private void run() {
        Instant begin = Instant.now();
        Result result;
        try {
            result = check.get();
        } catch (RuntimeException e) {
            result = Result.failed("Failed to run health check: " + e.getMessage());
        }
        Duration took = Duration.between(begin, Instant.now());
        if (took.compareTo(maxDuration) > 0) {
            result = Result.failed("Performing a health check took too long: " + took);
        }
        synchronized (this) {
            if (!result.success && Duration.between(started, begin).compareTo(STICKY_GRACE) > 0) {
                failedBefore = true;
            }
            if (result.success && sticky && failedBefore) {
                result = Result.failed("Sticky failure.");
            }
            if (!result.success) {
                LOG.severe("Health check failed: " + result.message);
            } else if (!last.success) {
                LOG.info("Healthy again.");
            }
            last = result;
            lastTime = Instant.now();
        }
    }

    public synchronized Result result() {
        Duration age = Duration.between(lastTime, Instant.now());
        if (age.compareTo(timeout) > 0) {
            return Result.failed("No health checks performed recently, the last result was " + age + " ago.");
        }
        return last;
    }
}
