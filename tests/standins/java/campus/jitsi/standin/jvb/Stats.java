// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Metrics;
import campus.jitsi.standin.common.Xml;
import java.lang.management.ManagementFactory;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the bridge tells about itself: in presence, in {@code /colibri/stats} and in {@code /metrics}, under the names
 * of upstream's VideobridgeStatisticsShim. Media is not forwarded here, so what counts media stays 0.
 */
final class Stats {
    static final String NS = "http://jitsi.org/protocol/colibri";

    private static final DateTimeFormatter TIMESTAMP = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");
    private static final List<String> ALWAYS_ZERO = List.of(
            "bit_rate_download", "bit_rate_upload", "packet_rate_download", "packet_rate_upload",
            "dtls_failed_endpoints", "dtls_failed_relays", "endpoints_disconnected", "endpoints_reconnected",
            "endpoints_with_high_outgoing_loss", "endpoints_with_spurious_remb",
            "endpoints_with_suspended_sources", "incoming_loss", "outgoing_loss", "overall_loss",
            "num_eps_no_msg_transport_after_delay", "num_eps_oversending",
            "num_relays_no_msg_transport_after_delay", "octo_conferences", "octo_endpoints",
            "octo_receive_bitrate", "octo_receive_packet_rate", "octo_send_bitrate", "octo_send_packet_rate",
            "preemptive_kfr_sent", "preemptive_kfr_suppressed", "relays_ice_failed", "rtt_aggregate",
            "tcc_unmatched_feedback", "total_bytes_received_octo", "total_bytes_sent", "total_bytes_sent_octo",
            "total_colibri_web_socket_messages_received", "total_colibri_web_socket_messages_sent",
            "total_data_channel_messages_received", "total_data_channel_messages_sent",
            "total_dominant_speaker_changes", "total_ice_succeeded_relayed", "total_keyframes_received",
            "total_layering_changes_received", "total_packets_received_octo", "total_packets_sent",
            "total_packets_sent_octo", "total_relays", "total_video_stream_milliseconds_received",
            "total_visitors", "visitors");

    private final Videobridge bridge;
    private final Conf conf;

    Stats(Videobridge bridge, Conf conf) {
        this.bridge = bridge;
        this.conf = conf;
    }

    /** CPU load in relation to the configured threshold, as upstream's default load measurement. */
    private double stress() {
        java.lang.management.OperatingSystemMXBean system = ManagementFactory.getOperatingSystemMXBean();
        double load = system instanceof com.sun.management.OperatingSystemMXBean
                ? ((com.sun.management.OperatingSystemMXBean) system).getCpuLoad() : 0;
        double threshold =
                conf.number("videobridge.load-management.load-measurements.cpu-usage.load-threshold");
        return load > 0 ? Math.round(load / threshold * 10000) / 10000.0 : 0;
    }

    Map<String, Object> values() {
        Map<String, Object> all = new LinkedHashMap<>();
        ALWAYS_ZERO.forEach(name -> all.put(name, 0));
        long endpoints = 0;
        long audio = 0;
        long video = 0;
        long active = 0;
        long largest = 0;
        long inactiveConferences = 0;
        long pairs = 0;
        for (Conference conference : bridge.conferences()) {
            long here = conference.endpoints().size();
            endpoints += here;
            largest = Math.max(largest, here);
            pairs += here == 2 ? 1 : 0;
            boolean anyone = false;
            for (Conference.Endpoint endpoint : conference.endpoints()) {
                audio += endpoint.sends("audio") ? 1 : 0;
                video += endpoint.sends("video") ? 1 : 0;
                boolean connected = endpoint.ice.state() == IceAgent.State.CONNECTED;
                active += connected ? 1 : 0;
                anyone |= connected;
            }
            inactiveConferences += anyone ? 0 : 1;
        }
        all.put("local_active_endpoints", active);
        all.put("inactive_conferences", inactiveConferences);
        all.put("p2p_conferences", pairs);
        all.put("endpoints", endpoints);
        all.put("participants", endpoints);
        all.put("receive_only_endpoints", 0);
        all.put("inactive_endpoints", endpoints - active);
        all.put("endpoints_sending_audio", audio);
        all.put("endpoints_sending_video", video);
        all.put("largest_conference", largest);
        all.put("total_conferences_created", bridge.conferencesCreated());
        all.put("total_conferences_completed", bridge.conferencesCreated() - bridge.conferences().size());
        all.put("total_conference_seconds", bridge.conferenceSeconds());
        all.put("total_participants", bridge.endpointsCreated());
        all.put("stress_level", stress());
        all.put("conferences", bridge.conferences().size());
        all.put("local_endpoints", endpoints);
        all.put("total_bytes_received", bridge.ice().bytes.get());
        all.put("total_packets_received", bridge.ice().packets.get());
        all.put("endpoints_ice_failed", bridge.ice().failures.get());
        all.put("total_ice_failed", bridge.ice().failures.get());
        all.put("total_ice_succeeded", bridge.ice().successes.get());
        all.put("average_participant_stress",
                conf.number("videobridge.load-management.average-participant-stress"));
        all.put("threads", ManagementFactory.getThreadMXBean().getThreadCount());
        Shutdown.State state = bridge.shutdown().state();
        // Stays true once graceful shutdown was entered.
        all.put("graceful_shutdown", bridge.wasGraceful());
        all.put("shutting_down", state == Shutdown.State.SHUTTING_DOWN);
        all.put("drain", bridge.drain());
        all.put("current_timestamp", TIMESTAMP.format(ZonedDateTime.now(ZoneOffset.UTC)));
        if (bridge.relayEnabled()) {
            all.put("relay_id", bridge.relayId());
        }
        all.put("muc_clients_configured", bridge.mucs().clients());
        all.put("muc_clients_connected", bridge.mucs().connected());
        all.put("mucs_configured", bridge.mucs().rooms());
        all.put("mucs_joined", bridge.mucs().joined());
        all.put("healthy", bridge.health().result().success);
        all.put("version", bridge.version());
        if (conf.has("videobridge.version.release")) {
            all.put("release", conf.string("videobridge.version.release"));
        }
        if (bridge.region() != null) {
            all.put("region", bridge.region());
        }
        return all;
    }

    /** The stats extension of presence, reduced to the white list when the filter is on. */
    Xml extension() {
        Map<String, Object> all = values();
        if (conf.flag("videobridge.apis.xmpp-client.stats-filter.enabled")) {
            all.keySet().retainAll(conf.strings("videobridge.apis.xmpp-client.stats-filter.whitelist"));
        }
        Xml stats = Xml.of("stats", NS);
        all.forEach((name, value) -> stats.child("stat").attr("name", name).attr("value", value));
        return stats;
    }

    Metrics metrics() {
        return new Metrics("jitsi_jvb_")
                .gauge("conferences", "Current number of conferences.", () -> bridge.conferences().size())
                .gauge("local_endpoints", "Current number of local endpoints.", () -> number("local_endpoints"))
                .gauge("healthy", "Whether the bridge is healthy.", () -> bridge.health().result().success ? 1 : 0)
                .gauge("drain_mode", "Whether the bridge is in drain mode.", () -> bridge.drain() ? 1 : 0)
                .gauge("graceful_shutdown", "Whether graceful shutdown was requested.",
                        () -> bridge.wasGraceful() ? 1 : 0)
                .gauge("shutting_down", "Whether the bridge is shutting down.",
                        () -> bridge.shutdown().state() == Shutdown.State.SHUTTING_DOWN ? 1 : 0)
                .gauge("stress", "Current stress level.", this::stress)
                .gauge("mucs_joined", "Number of MUCs that are joined.", () -> bridge.mucs().joined())
                .gauge("threads", "Current JVM thread count.", () -> number("threads"))
                .counter("conferences_created", "Conferences created.", bridge::conferencesCreated)
                .counter("endpoints", "Endpoints created.", bridge::endpointsCreated)
                .counter("ice_succeeded", "Times ICE succeeded.", () -> bridge.ice().successes.get())
                .counter("ice_failed", "Times ICE failed.", () -> bridge.ice().failures.get())
                .counter("packets_received", "Packets received.", () -> bridge.ice().packets.get());
    }

    private Number number(String name) {
        return (Number) values().get(name);
    }
}
