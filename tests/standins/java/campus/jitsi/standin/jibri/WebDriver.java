// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jibri;

import campus.jitsi.standin.common.Json;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A real browser behind a real chromedriver, spoken to as W3C WebDriver says (the real program has Selenium for that). */
final class WebDriver implements AutoCloseable {
    /** The driver or the browser does not do what it was told. */
    static final class Failed extends IOException {
        Failed(String message) {
            super(message);
        }
    }

    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    private final Process driver;
    private String base;

    /** @param display where the browser is shown; the real program has {@code :0} and nothing else */
    WebDriver(String display, File log, List<String> flags) throws IOException {
        ProcessBuilder builder = new ProcessBuilder("chromedriver", "--port=0", "--log-path=" + log);
        builder.environment().put("DISPLAY", display);
        builder.redirectError(ProcessBuilder.Redirect.DISCARD);
        driver = builder.start();
        try {
            base = "http://127.0.0.1:" + port() + "/session";
            Map<String, Object> answer = call("POST", "", Json.object("capabilities", Json.object("alwaysMatch", Json.object(
                    "browserName", "chrome", "goog:chromeOptions", Json.object("args", flags)))), Duration.ofSeconds(60));
            base += "/" + ((Map<?, ?>) answer.get("value")).get("sessionId");
        } catch (IOException e) {
            driver.destroyForcibly();
            throw e;
        }
    }

    private int port() throws IOException {
        BufferedReader said = new BufferedReader(new InputStreamReader(driver.getInputStream()));
        Pattern wanted = Pattern.compile("started successfully on port (\\d+)");
        for (String line = said.readLine(); line != null; line = said.readLine()) {
            Matcher match = wanted.matcher(line);
            if (match.find()) {
                return Integer.parseInt(match.group(1));
            }
        }
        throw new Failed("chromedriver did not start");
    }

    private Map<String, Object> call(String method, String path, Map<String, Object> body, Duration timeout) throws IOException {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + path)).timeout(timeout)
                .header("Content-Type", "application/json");
        request.method(method, body == null ? HttpRequest.BodyPublishers.noBody()
                : HttpRequest.BodyPublishers.ofString(Json.write(body)));
        try {
            HttpResponse<String> answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
            Map<String, Object> json = Json.parseObject(answer.body());
            if (answer.statusCode() != 200) {
                Object value = json.get("value");
                throw new Failed(value instanceof Map ? String.valueOf(((Map<?, ?>) value).get("message")) : answer.body());
            }
            return json;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new Failed("interrupted");
        }
    }

    void open(String url) throws IOException {
        call("POST", "/url", Json.object("url", url), Duration.ofSeconds(60));
    }

    Object run(String script, Object... arguments) throws IOException {
        return call("POST", "/execute/sync", Json.object("script", script, "args", List.of(arguments)), Duration.ofSeconds(30))
                .get("value");
    }

    @Override
    public void close() {
        try {
            call("DELETE", "", null, Duration.ofSeconds(10));
        } catch (IOException e) {
            // A browser that died is gone already.
        }
        driver.descendants().forEach(ProcessHandle::destroyForcibly);
        driver.destroyForcibly();
    }
}
