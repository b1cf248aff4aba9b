// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A router over the JDK's HTTP server. A path or method without a route is answered with 404 or 405. */
public final class HttpApi {
    public static final String JSON = "application/json";
    public static final String TEXT = "text/plain; charset=utf-8";

    private static final Logger LOG = Logger.getLogger(HttpApi.class.getName());

    private final List<Route> routes = new ArrayList<>();
    private HttpServer server;

    /** What a handler sees of the request. */
    public static final class Request {
        public final String method;
        public final String path;
        public final String query;
        public final String body;
        public final String contentType;
        public final String accept;
        public final List<String> groups;

        Request(HttpExchange exchange, String body, List<String> groups) {
            this.method = exchange.getRequestMethod();
            this.path = exchange.getRequestURI().getPath();
            this.query = exchange.getRequestURI().getRawQuery() == null ? "" : exchange.getRequestURI().getRawQuery();
            this.accept = exchange.getRequestHeaders().getFirst("Accept");
            this.contentType = exchange.getRequestHeaders().getFirst("Content-Type");
            this.body = body;
            this.groups = groups;
        }
    }

    /** What a handler answers. */
    public static final class Response {
        final int status;
        final String type;
        final String body;

        public Response(int status, String type, String body) {
            this.status = status;
            this.type = type;
            this.body = body == null ? "" : body;
        }

        public static Response json(Object value) {
            return new Response(200, JSON, Json.write(value));
        }

        public static Response text(int status, String body) {
            return new Response(status, TEXT, body);
        }
    }

    /** A handler may throw; that is a 500. */
    public interface Handler {
        Response handle(Request request) throws Exception;
    }

    private static final class Route {
        final String method;
        final Pattern path;
        final Handler handler;

        Route(String method, String path, Handler handler) {
            this.method = method;
            this.path = Pattern.compile(path);
            this.handler = handler;
        }
    }

    public HttpApi route(String method, String pathPattern, Handler handler) {
        routes.add(new Route(method, pathPattern, handler));
        return this;
    }

    public void start(String host, int port) throws IOException {
        InetSocketAddress address = host == null ? new InetSocketAddress(port) : new InetSocketAddress(host, port);
        server = HttpServer.create(address, 0);
        server.createContext("/", this::serve);
        server.setExecutor(Executors.newFixedThreadPool(4, runnable -> {
            Thread thread = new Thread(runnable, "http");
            thread.setDaemon(true);
            return thread;
        }));
        server.start();
        LOG.info("HTTP API listens on " + address);
    }

    public void stop() {
        if (server != null) {
            server.stop(0);
        }
    }

    private void serve(HttpExchange exchange) throws IOException {
        Response response;
        try {
            response = dispatch(exchange);
        } catch (Exception e) {
            LOG.log(Level.WARNING, "HTTP " + exchange.getRequestURI(), e);
            response = Response.text(500, String.valueOf(e.getMessage()));
        }
        byte[] bytes = response.body.getBytes(StandardCharsets.UTF_8);
        if (response.type != null) {
            exchange.getResponseHeaders().set("Content-Type", response.type);
        }
        boolean head = "HEAD".equals(exchange.getRequestMethod());
        exchange.sendResponseHeaders(response.status, bytes.length == 0 || head ? -1 : bytes.length);
        if (!head) {
            exchange.getResponseBody().write(bytes);
        }
        exchange.close();
    }

    private Response dispatch(HttpExchange exchange) throws Exception {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String path = exchange.getRequestURI().getPath();
        String method = "HEAD".equals(exchange.getRequestMethod()) ? "GET" : exchange.getRequestMethod();
        boolean pathKnown = false;
        for (Route route : routes) {
            Matcher matcher = route.path.matcher(path);
            if (!matcher.matches()) {
                continue;
            }
            pathKnown = true;
            if (route.method.equals(method)) {
                List<String> groups = new ArrayList<>();
                for (int i = 1; i <= matcher.groupCount(); i++) {
                    groups.add(matcher.group(i));
                }
                return route.handler.handle(new Request(exchange, body, groups));
            }
        }
        return pathKnown ? new Response(405, null, "") : new Response(404, null, "");
    }
}
