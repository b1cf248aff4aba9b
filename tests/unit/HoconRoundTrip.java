// SPDX-License-Identifier: GPL-3.0-or-later
// Reads a JSON array of HOCON documents from standard input and prints the array of what the parser of jicofo and the
// videobridge reads in them, as JSON. Run as a source file: java -cp config.jar HoconRoundTrip.java

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

public class HoconRoundTrip {
    public static void main(String[] arguments) throws Exception {
        String input = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        List<String> texts = ConfigFactory.parseString("{\"texts\": " + input + "}").getStringList("texts");
        String output = texts.stream()
            .map(text -> ConfigFactory.parseString(text).resolve())
            .map((Config config) -> config.root().render(ConfigRenderOptions.concise()))
            .collect(Collectors.joining(",", "[", "]"));
        new PrintStream(System.out, true, StandardCharsets.UTF_8).println(output);
    }
}
