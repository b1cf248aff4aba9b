// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jvb;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.HealthCheck;
import campus.jitsi.standin.common.HttpApi;
import campus.jitsi.standin.common.HttpApi.Request;
import campus.jitsi.standin.common.HttpApi.Response;
import campus.jitsi.standin.common.Json;
import java.io.IOException;
import java.util.Map;
import java.util.logging.Logger;

/** The private HTTP API (videobridge.http-servers.private). What is switched off does not exist: 404. */
final class JvbApi {
    private static final Logger LOG = Logger.getLogger(JvbApi.class.getName());
    private static final String SERVER = "videobridge.http-servers.private.";

    private final Videobridge bridge;
    private final Conf conf;
    private final HttpApi api = new HttpApi();

    JvbApi(Videobridge bridge, Conf conf) {
        this.bridge = bridge;
        this.conf = conf;
        if (on("health")) {
            api.route("GET", "/about/health", this::health);
        }
        if (on("version")) {
            api.route("GET", "/about/version", request -> Response.json(Json.object(
                    "name", "JVB", "version", bridge.version(), "os", System.getProperty("os.name"))));
        }
        if (on("prometheus")) {
            // The real one fails over a request without an Accept header.
            api.route("GET", "/metrics", request -> request.accept == null ? Response.text(500, "Request failed.")
                    : bridge.stats().metrics().answer(request));
        }
        if (on("drain")) {
            api.route("GET", "/colibri/drain/?", request -> Response.json(Json.object("drain", bridge.drain())))
                    .route("POST", "/colibri/drain/enable", request -> drain(true))
                    .route("POST", "/colibri/drain/disable", request -> drain(false));
        }
        if (on("debug")) {
            api.route("GET", "/debug/?", request -> Response.json(bridge.debugState()));
        }
        if (on("rtcstats")) {
            api.route("GET", "/stats/?", request -> Response.json(Json.object("conferences", Map.of())));
        }
        if (conf.flag("videobridge.apis.rest.enabled")) {
            api.route("GET", "/colibri/stats/?", request -> Response.json(bridge.stats().values()))
                    .route("GET", "/colibri/v2/conferences/?", request -> new Response(501, null, ""))
                    .route("GET", "/colibri/muc-client/list", request -> Response.json(bridge.mucs().ids()))
                    .route("POST", "/colibri/muc-client/add", this::addClient)
                    .route("POST", "/colibri/muc-client/remove", this::removeClient);
            if (on("shutdown")) {
                api.route("POST", "/colibri/shutdown", this::shutdown);
            }
        }
    }

    private boolean on(String name) {
        return conf.flag("videobridge.rest." + name + ".enabled");
    }

    /** @return false when the API is switched off by a port of -1. */
    boolean start() throws IOException {
        int port = conf.integer(SERVER + "port", 8080);
        if (conf.has(SERVER + "key-store-path")) {
            LOG.warning("This stand-in serves no TLS itself: " + SERVER + "key-store-path is ignored.");
        }
        if (port < 0) {
            LOG.info("Not starting private http server");
            return false;
        }
        api.start(conf.optString(SERVER + "host"), port);
        return true;
    }

    void stop() {
        api.stop();
    }

    private Response health(Request request) {
        HealthCheck.Result result = bridge.health().result();
        return Response.text(result.httpStatus(), result.success ? "" : result.message);
    }

    private Response drain(boolean enable) {
        bridge.setDrain(enable);
        return Response.text(200, "");
    }

    private static boolean isJson(Request request) {
        return request.contentType != null && request.contentType.startsWith(HttpApi.JSON);
    }

    private static Map<String, Object> json(Request request) {
        try {
            return Json.parseObject(request.body);
        } catch (IllegalArgumentException e) {
            return Map.of();
        }
    }

    private Response shutdown(Request request) {
        if (!isJson(request)) {
            return Response.text(415, "");
        }
        Object graceful = json(request).get("graceful-shutdown");
        if (graceful == null || !graceful.toString().matches("true|false")) {
            return Response.text(400, "graceful-shutdown is required");
        }
        bridge.requestShutdown(Boolean.parseBoolean(graceful.toString()));
        return Response.text(200, "");
    }

    private Response addClient(Request request) {
        Map<String, Object> body = json(request);
        if (!(body.get("id") instanceof String)) {
            return Response.text(400, "");
        }
        MucClientConfig config = new MucClientConfig((String) body.get("id"));
        body.forEach((key, value) -> {
            if (!key.equals("id") && value instanceof String) {
                config.set(key, value);
            }
        });
        if (!config.missing().isEmpty()) {
            LOG.info("Not adding a MUC client, configuration incomplete: " + config.missing());
            return Response.text(400, "");
        }
        bridge.mucs().add(config);
        return Response.text(200, "");
    }

    private Response removeClient(Request request) {
        Object id = json(request).get("id");
        return Response.text(id != null && bridge.mucs().remove(id.toString()) ? 200 : 400, "");
    }
}
