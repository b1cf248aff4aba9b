// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.util.ArrayDeque;
import java.util.Queue;

/** Runs tasks one after the other on the I/O pool, so that Smack's own threads never wait for an answer. */
public final class InOrder {
    private final Queue<Runnable> waiting = new ArrayDeque<>();
    private boolean busy;
    private boolean closed;

    public synchronized void add(Runnable task) {
        if (closed) {
            return;
        }
        waiting.add(task);
        if (!busy) {
            busy = true;
            Periodic.io(this::drain);
        }
    }

    public synchronized void close() {
        closed = true;
        waiting.clear();
    }

    private void drain() {
        while (true) {
            Runnable task;
            synchronized (this) {
                task = waiting.poll();
                if (task == null) {
                    busy = false;
                    return;
                }
            }
            try {
                task.run();
            } catch (RuntimeException e) {
                java.util.logging.Logger.getLogger(InOrder.class.getName())
                        .log(java.util.logging.Level.WARNING, "Queued task failed", e);
            }
        }
    }
}
