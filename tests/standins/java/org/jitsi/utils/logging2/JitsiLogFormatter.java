// SPDX-License-Identifier: GPL-3.0-or-later
package org.jitsi.utils.logging2;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.logging.Formatter;
import java.util.logging.LogManager;
import java.util.logging.LogRecord;

/**
 * Log lines in the shape of the real programs: {@code JVB 2026-01-31 12:00:00.123 INFO: [7] Class.method: text}.
 *
 * <p>The class carries this name because the logging.properties of the packages refer to it by name.
 */
public class JitsiLogFormatter extends Formatter {
    private static final DateTimeFormatter STAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS ");

    private final String program = property("programname");
    private final boolean stampOff = Boolean.parseBoolean(property("disableTimestamp"));

    private static String property(String name) {
        return LogManager.getLogManager().getProperty(JitsiLogFormatter.class.getName() + "." + name);
    }

    @Override
    public String format(LogRecord record) {
        StringBuilder line = new StringBuilder();
        if (program != null) {
            line.append(program).append(' ');
        }
        if (!stampOff) {
            line.append(STAMP.format(record.getInstant().atZone(ZoneId.systemDefault())));
        }
        line.append(record.getLevel().getName()).append(": [").append(record.getLongThreadID()).append("] ");
        String source = record.getSourceClassName() == null ? record.getLoggerName() : record.getSourceClassName();
        line.append(source);
        if (record.getSourceMethodName() != null) {
            line.append('.').append(record.getSourceMethodName());
        }
        line.append(": ").append(formatMessage(record)).append(System.lineSeparator());
        if (record.getThrown() != null) {
            StringWriter trace = new StringWriter();
            record.getThrown().printStackTrace(new PrintWriter(trace));
            line.append(trace);
        }
        return line.toString();
    }
}
