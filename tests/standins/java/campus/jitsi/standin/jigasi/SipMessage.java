// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.jigasi;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A request or a response of SIP (RFC 3261), as far as calls need it. */
final class SipMessage {
    private static final Map<String, String> SHORT = Map.of("v", "via", "f", "from", "t", "to", "i", "call-id", "m", "contact",
            "l", "content-length", "c", "content-type", "k", "supported");

    final String start;
    final List<String[]> headers = new ArrayList<>();
    String body = "";

    SipMessage(String start) {
        this.start = start;
    }

    static SipMessage parse(String head, String body) {
        String[] lines = head.replaceAll("\r\n[ \t]+", " ").split("\r\n");
        SipMessage message = new SipMessage(lines[0]);
        for (int i = 1; i < lines.length; i++) {
            int colon = lines[i].indexOf(':');
            if (colon > 0) {
                message.add(lines[i].substring(0, colon).trim(), lines[i].substring(colon + 1).trim());
            }
        }
        message.body = body;
        return message;
    }

    SipMessage add(String name, Object value) {
        headers.add(new String[] {name, value.toString()});
        return this;
    }

    private static String full(String name) {
        String lower = name.toLowerCase();
        return SHORT.getOrDefault(lower, lower);
    }

    List<String> all(String name) {
        List<String> found = new ArrayList<>();
        for (String[] header : headers) {
            if (full(header[0]).equals(full(name))) {
                found.add(header[1]);
            }
        }
        return found;
    }

    String first(String name) {
        List<String> found = all(name);
        return found.isEmpty() ? null : found.get(0);
    }

    boolean isRequest() {
        return !start.startsWith("SIP/2.0 ");
    }

    String method() {
        return isRequest() ? start.split(" ")[0] : cseqMethod();
    }

    String uri() {
        return start.split(" ")[1];
    }

    int status() {
        return Integer.parseInt(start.split(" ")[1]);
    }

    String reason() {
        String[] parts = start.split(" ", 3);
        return parts.length > 2 ? parts[2] : "";
    }

    int cseq() {
        return Integer.parseInt(first("CSeq").trim().split("\\s+")[0]);
    }

    String cseqMethod() {
        return first("CSeq").trim().split("\\s+")[1];
    }

    String branch() {
        String via = first("Via");
        return via == null ? null : parameter(via, "branch");
    }

    static String parameter(String header, String name) {
        Matcher matcher = Pattern.compile(";\\s*" + name + "=([^;,>\\s]+)", Pattern.CASE_INSENSITIVE).matcher(header);
        return matcher.find() ? matcher.group(1) : null;
    }

    /** The address in a header such as From or Contact. */
    static String address(String header) {
        Matcher matcher = Pattern.compile("<([^>]+)>").matcher(header);
        return matcher.find() ? matcher.group(1) : header.split(";")[0].trim();
    }

    static String user(String uri) {
        Matcher matcher = Pattern.compile("sips?:([^@;>]+)@").matcher(uri);
        return matcher.find() ? matcher.group(1) : uri;
    }

    /** A response to this request, with what belongs to its transaction. */
    SipMessage response(int status, String reason, String toTag) {
        SipMessage response = new SipMessage("SIP/2.0 " + status + " " + reason);
        for (String name : new String[] {"Via", "Record-Route", "From", "To", "Call-ID", "CSeq"}) {
            for (String value : all(name)) {
                boolean tagged = name.equals("To") && toTag != null && parameter(value, "tag") == null;
                response.add(name, tagged ? value + ";tag=" + toTag : value);
            }
        }
        return response;
    }

    byte[] bytes() {
        StringBuilder out = new StringBuilder(start).append("\r\n");
        headers.forEach(header -> {
            if (!full(header[0]).equals("content-length")) {
                out.append(header[0]).append(": ").append(header[1]).append("\r\n");
            }
        });
        byte[] content = body.getBytes(StandardCharsets.UTF_8);
        out.append("Content-Length: ").append(content.length).append("\r\n\r\n").append(body);
        return out.toString().getBytes(StandardCharsets.UTF_8);
    }
}
