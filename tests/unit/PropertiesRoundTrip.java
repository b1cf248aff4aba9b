// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a JSON array of texts from standard input and prints the array of what java.util.Properties reads in them, as JSON. Run as a
// source file: java PropertiesRoundTrip.java. It needs no library: of JSON, it takes what Python writes in ASCII.

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

public class PropertiesRoundTrip {
    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            out.append(String.format("\\u%04x", (int) c));
        }
        return out.append('"').toString();
    }

    private static String read(String text) throws Exception {
        Properties properties = new Properties();
        properties.load(new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1)));
        StringBuilder out = new StringBuilder("{");
        for (String name : properties.stringPropertyNames()) {
            out.append(out.length() > 1 ? "," : "").append(quoted(name)).append(':').append(quoted(properties.getProperty(name)));
        }
        return out.append('}').toString();
    }

    public static void main(String[] arguments) throws Exception {
        String input = new String(System.in.readAllBytes(), StandardCharsets.US_ASCII);
        StringBuilder out = new StringBuilder("[");
        StringBuilder text = null;
        for (int i = 0; i < input.length(); i++) {
            char c = input.charAt(i);
            if (text == null) {
                text = c == '"' ? new StringBuilder() : null;
            } else if (c == '"') {
                out.append(out.length() > 1 ? "," : "").append(read(text.toString()));
                text = null;
            } else if (c == '\\') {
                c = input.charAt(++i);
                int escape = "bfnrt".indexOf(c);
                if (c == 'u') {
                    text.append((char) Integer.parseInt(input.substring(i + 1, i + 5), 16));
                    i += 4;
                } else {
                    text.append(escape < 0 ? c : "\b\f\n\r\t".charAt(escape));
                }
            } else {
                text.append(c);
            }
        }
        System.out.println(out.append(']'));
    }
}
