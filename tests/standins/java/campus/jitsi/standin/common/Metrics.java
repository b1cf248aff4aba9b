// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** A few values for Prometheus: OpenMetrics 1.0 unless the text format 0.0.4 was asked for, as jicoco answers. */
public final class Metrics {
    private static final class Metric {
        final String help;
        final boolean counter;
        final Supplier<Number> value;

        Metric(String help, boolean counter, Supplier<Number> value) {
            this.help = help;
            this.counter = counter;
            this.value = value;
        }
    }

    private final String prefix;
    private final Map<String, Metric> metrics = new LinkedHashMap<>();

    public Metrics(String prefix) {
        this.prefix = prefix;
    }

    public Metrics gauge(String name, String help, Supplier<Number> value) {
        metrics.put(name, new Metric(help, false, value));
        return this;
    }

    /** @param name without the suffix _total. */
    public Metrics counter(String name, String help, Supplier<Number> value) {
        metrics.put(name, new Metric(help, true, value));
        return this;
    }

    /** Answers a scrape in the format that the Accept header prefers. */
    public HttpApi.Response answer(HttpApi.Request request) {
        boolean open = request.accept == null || !request.accept.startsWith("text/plain");
        StringBuilder out = new StringBuilder();
        metrics.forEach((name, metric) -> {
            String sample = prefix + name + (metric.counter ? "_total" : "");
            // Only the older format counts the suffix to the name of the metric.
            String family = open ? prefix + name : sample;
            out.append("# TYPE ").append(family).append(metric.counter ? " counter\n" : " gauge\n")
                    .append("# HELP ").append(family).append(' ').append(metric.help).append('\n')
                    .append(sample).append(' ').append(metric.value.get().doubleValue()).append('\n');
        });
        return new HttpApi.Response(200, open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                : "text/plain; version=0.0.4; charset=utf-8", out + (open ? "# EOF\n" : ""));
    }
}
