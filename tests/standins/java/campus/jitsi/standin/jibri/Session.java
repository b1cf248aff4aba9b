// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jibri;

import campus.jitsi.standin.common.Conf;
import campus.jitsi.standin.common.Json;
import campus.jitsi.standin.common.Periodic;
import com.typesafe.config.Config;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Pattern;

/**
 * One recording or stream: a real browser in the meeting on the real display, the real ffmpeg as the configuration composes its
 * command, and afterwards the script (FileRecordingJibriService and StreamingJibriService).
 */
final class Session {
    private static final Logger LOG = Logger.getLogger(Session.class.getName());
    private static final Duration CHECK = Duration.ofSeconds(15);
    private static final List<String> URL_OPTIONS = List.of("config.analytics.disabled=true", "config.disableInitialGUM=true",
            "config.externalConnectUrl=null", "config.iAmRecorder=true", "config.p2p.enabled=false",
            "config.prejoinConfig.enabled=false", "config.requireDisplayName=false", "config.deeplinking.disabled=true",
            "config.startWithAudioMuted=true", "config.startWithVideoMuted=true", "interfaceConfig.APP_NAME=\"Jibri\"",
            "config.useHostPageLocalStorage=true");

    /** Told once when it runs, and once when it is to end by itself. */
    interface Listener {
        void running();

        void ended(String failure, boolean retry);
    }

    private final Conf conf;
    private final String id;
    private final String url;
    private final String stream;
    private final Config login;
    private final Listener listener;
    private final Path folder;
    private final Path file;
    private WebDriver browser;
    private Process ffmpeg;
    private ScheduledFuture<?> checks;
    private Instant emptySince;
    private boolean stopping;
    private boolean told;

    /** @param stream where to stream to; null for a recording */
    Session(Conf conf, String id, String url, String stream, Config login, Listener listener) {
        this.conf = conf;
        this.id = id;
        this.url = url;
        this.stream = stream;
        this.login = login;
        this.listener = listener;
        folder = Path.of(conf.string("jibri.recording.recordings-directory")).resolve(id.replaceAll("[^a-zA-Z0-9_-]", "_"));
        String suffix = "_" + LocalDateTime.now().format(DateTimeFormatter.ofPattern("yyyy-MM-dd-HH-mm-ss")) + "."
                + conf.string("jibri.ffmpeg.recording-extension");
        String call = url.substring(url.lastIndexOf('/') + 1);
        file = folder.resolve(call.substring(0, Math.min(call.length(), 125 - suffix.length())) + suffix);
    }

    /** Blocks until ffmpeg runs or something failed. */
    void start() {
        try {
            if (stream == null) {
                Files.createDirectories(folder);
                if (!Files.isWritable(folder)) {
                    throw new IOException("Unable to write to " + folder);
                }
            } else if (conf.strings("jibri.streaming.rtmp-allow-list").stream()
                    .noneMatch(allowed -> Pattern.compile(allowed).matcher(stream).matches())) {
                LOG.severe("RTMP url " + stream + " is not allowed");
                end("RTMP URL is not allowed", true);
                return;
            }
            join();
            synchronized (this) {
                if (stopping) {
                    return;
                }
                capture();
                checks = Periodic.every(CHECK, CHECK, this::check);
            }
        } catch (IOException | RuntimeException e) {
            LOG.log(Level.SEVERE, "Error starting the session", e);
            end(String.valueOf(e.getMessage()), true);
        }
    }

    private void join() throws IOException {
        String log = System.getProperty("webdriver.chrome.logfile", "/var/log/jitsi/jibri/chromedriver.log");
        WebDriver opened = new WebDriver(":0", new File(log), conf.strings("jibri.chrome.flags"));
        synchronized (this) {
            browser = opened;
        }
        Map<String, Object> storage = Json.object("displayname", "", "email", "", "callStatsUserName", conf.string("jibri.id"),
                "xmpp_username_override", login.getString("username") + "@" + login.getString("domain"),
                "xmpp_password_override", login.getString("password"));
        // The page parses it twice.
        List<String> options = new ArrayList<>(URL_OPTIONS);
        options.add("appData.localStorageContent=" + encode(Json.write(Json.write(storage))));
        browser.open(url + "#" + String.join("&", options));
        Instant end = Instant.now().plusSeconds(30);
        Object joined = null;
        while (Instant.now().isBefore(end)) {
            joined = browser.run("try { return APP.conference._room.isJoined(); } catch (e) { return e.message; }");
            if (Boolean.TRUE.equals(joined)) {
                LOG.info("Joined " + url);
                browser.run("try { ['session_id', 'mode'].forEach((name, i) => APP.conference._room.room.addOrReplaceInPresence("
                        + "name, { value: arguments[i] })); APP.conference._room.room.sendPresence(); } catch (e) { return e.message; }",
                        id, stream == null ? "file" : "stream");
                return;
            }
            pause(250);
        }
        throw new IOException("Timed out waiting for call page to load: " + joined + " "
                + browser.run("return JSON.stringify([window.__meeting && [__meeting.state, __meeting.layer, __meeting.error], document.title])"));
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void capture() throws IOException {
        List<String> command = new ArrayList<>(conf.strings(
                stream == null ? "jibri.ffmpeg.command-linux-recording" : "jibri.ffmpeg.command-linux-streaming"));
        command.add(stream == null ? file.toString() : stream);
        LOG.info("Starting ffmpeg with: " + command.subList(0, command.size() - 1));
        ffmpeg = new ProcessBuilder(command).redirectErrorStream(true).start();
        ffmpeg.getOutputStream().close();
        Process started = ffmpeg;
        Periodic.io(() -> follow(started));
    }

    /** ffmpeg ends its lines of progress with a carriage return, which a reader of lines takes for an end, too. */
    private void follow(Process process) {
        Logger output = Logger.getLogger("ffmpeg");
        String last = "";
        String progress = "";
        boolean running = false;
        try (BufferedReader said = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
            for (String line = said.readLine(); line != null; line = said.readLine()) {
                last = line.isBlank() ? last : line;
                if (!line.startsWith("frame=")) {
                    output.info(line);
                    continue;
                }
                progress = line;
                if (!running) {
                    running = true;
                    LOG.info("ffmpeg encodes");
                    listener.running();
                }
            }
            // Of the lines of progress the last one is enough: it has the frames that ffmpeg had to repeat or to drop.
            output.info(progress);
            process.waitFor();
        } catch (IOException | InterruptedException e) {
            LOG.log(Level.WARNING, "ffmpeg", e);
        }
        synchronized (this) {
            if (stopping) {
                return;
            }
        }
        LOG.warning("Ffmpeg quit abruptly. Last output line: " + last);
        end("ffmpeg quit unexpectedly: " + last, !last.matches("rtmp://.*Input/output error"));
    }

    /** A browser that does not answer has hung or died; a meeting without others ends after a while. */
    private void check() {
        Object others;
        try {
            others = browser.run("try { return APP.conference._room.getParticipants().filter(p => !p.isHidden()).length; }"
                    + " catch (e) { return e.message; }");
        } catch (IOException e) {
            LOG.log(Level.SEVERE, "Can't reach browser", e);
            end("Chrome hung", true);
            return;
        }
        boolean empty = others instanceof Number && ((Number) others).intValue() == 0;
        emptySince = !empty ? null : emptySince == null ? Instant.now() : emptySince;
        if (empty && Duration.between(emptySince, Instant.now())
                .compareTo(conf.duration("jibri.call-status-checks.default-call-empty-timeout")) >= 0) {
            LOG.info("Call has been empty since " + emptySince);
            end(null, false);
        }
    }

    private void end(String failure, boolean retry) {
        synchronized (this) {
            if (told) {
                return;
            }
            told = true;
        }
        listener.ended(failure, retry);
    }

    /** Ends ffmpeg, the browser, and what is to be done with the recording. Blocks until all of it is done. */
    void stop() {
        synchronized (this) {
            if (stopping) {
                return;
            }
            stopping = true;
            told = true;
            if (checks != null) {
                checks.cancel(false);
            }
        }
        if (ffmpeg != null && ffmpeg.isAlive()) {
            LOG.info("Stopping ffmpeg process");
            try {
                new ProcessBuilder("kill", "-s", "INT", String.valueOf(ffmpeg.pid())).start().waitFor();
                if (!ffmpeg.waitFor(10, TimeUnit.SECONDS)) {
                    LOG.severe("Error trying to gracefully stop ffmpeg, destroying forcibly");
                    ffmpeg.destroyForcibly().waitFor(10, TimeUnit.SECONDS);
                }
            } catch (IOException | InterruptedException e) {
                LOG.log(Level.SEVERE, "Stopping ffmpeg", e);
            }
        }
        boolean recorded = stream == null && Files.exists(file);
        if (recorded) {
            writeMetadata();
        } else if (stream == null) {
            LOG.info("No media was recorded, deleting directory and skipping metadata file & finalize");
            try {
                Files.deleteIfExists(folder);
            } catch (IOException e) {
                LOG.log(Level.SEVERE, "Problem deleting session recording directory", e);
            }
        }
        if (browser != null) {
            try {
                browser.run("try { return APP.conference._room.leave() && null; } catch (e) { return e.message; }");
                pause(500);
            } catch (IOException e) {
                LOG.warning("Error trying to leave the call: " + e.getMessage());
            }
            browser.close();
        }
        if (recorded) {
            finish();
        }
    }

    private void writeMetadata() {
        Object people = List.of();
        try {
            people = browser.run("return APP.conference._room.getParticipants().filter(p => !p.isHidden())"
                    + ".map(p => ({ user: { id: p.getId(), name: p.getDisplayName() } }));");
        } catch (IOException | RuntimeException e) {
            LOG.warning("An error occurred while trying to get the participants list: " + e.getMessage());
        }
        try {
            Files.writeString(folder.resolve("metadata.json"), Json.write(Json.object("meeting_url", url, "participants", people)));
        } catch (IOException e) {
            LOG.log(Level.SEVERE, "Error writing metadata", e);
        }
    }

    private void finish() {
        List<String> command = List.of(conf.string("jibri.recording.finalize-script"), folder.toString());
        LOG.info("Finalizing the jibri service operation using command " + command);
        try {
            Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
            try (BufferedReader said = new BufferedReader(new InputStreamReader(process.getInputStream()))) {
                said.lines().forEach(LOG::info);
            }
            LOG.info("Finalize script finished with exit value " + process.waitFor());
        } catch (IOException | InterruptedException e) {
            LOG.log(Level.SEVERE, "Failed to run finalize script", e);
        }
    }
}
