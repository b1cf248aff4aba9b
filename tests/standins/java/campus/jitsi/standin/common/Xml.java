// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.xml.namespace.QName;
import org.jivesoftware.smack.packet.ExtensionElement;
import org.jivesoftware.smack.packet.IqData;
import org.jivesoftware.smack.packet.StandardExtensionElement;
import org.jivesoftware.smack.packet.XmlEnvironment;
import org.jivesoftware.smack.parsing.SmackParsingException;
import org.jivesoftware.smack.provider.ExtensionElementProvider;
import org.jivesoftware.smack.provider.IqProvider;
import org.jivesoftware.smack.util.StringUtils;
import org.jivesoftware.smack.xml.XmlPullParser;
import org.jivesoftware.smack.xml.XmlPullParserException;

/**
 * One XML element as a plain tree.
 *
 * <p>Jitsi's stanzas (Jingle, colibri2, conference requests, bridge statistics) are read and written through this
 * one class instead of one class per element: what goes over the wire stays visible where it is built.
 */
public final class Xml implements ExtensionElement {
    private final String name;
    private final String namespace;
    private final Map<String, String> attributes = new LinkedHashMap<>();
    private final List<Xml> children = new ArrayList<>();
    private String text = "";

    public Xml(String name, String namespace) {
        this.name = name;
        this.namespace = namespace == null ? "" : namespace;
    }

    public static Xml of(String name, String namespace) {
        return new Xml(name, namespace);
    }

    /** Copies an element that Smack parsed without a provider of ours. */
    public static Xml of(ExtensionElement element) {
        if (element == null) {
            return null;
        }
        if (element instanceof Xml) {
            return (Xml) element;
        }
        if (!(element instanceof StandardExtensionElement)) {
            throw new IllegalArgumentException("not a generic element: " + element.getClass());
        }
        StandardExtensionElement source = (StandardExtensionElement) element;
        Xml copy = new Xml(source.getElementName(), source.getNamespace());
        source.getAttributes().forEach(copy::attr);
        copy.text(source.getText());
        source.getElements().forEach(child -> copy.add(Xml.of(child)));
        return copy;
    }

    /** Sets an attribute; null leaves it out. */
    public Xml attr(String key, Object value) {
        if (value != null) {
            attributes.put(key, value.toString());
        }
        return this;
    }

    public String attr(String key) {
        return attributes.get(key);
    }

    public boolean flag(String key) {
        return Boolean.parseBoolean(attributes.get(key));
    }

    Map<String, String> attributes() {
        return attributes;
    }

    public Xml text(String value) {
        text = value == null ? "" : value;
        return this;
    }

    public String text() {
        return text;
    }

    public Xml add(Xml child) {
        if (child != null) {
            children.add(child);
        }
        return this;
    }

    public Xml addAll(Iterable<Xml> more) {
        more.forEach(this::add);
        return this;
    }

    /** Adds a new child in this element's own namespace and returns the child. */
    public Xml child(String childName) {
        return child(childName, namespace);
    }

    public Xml child(String childName, String childNamespace) {
        Xml child = new Xml(childName, childNamespace);
        children.add(child);
        return child;
    }

    public List<Xml> children() {
        return Collections.unmodifiableList(children);
    }

    public List<Xml> children(String childName) {
        List<Xml> found = new ArrayList<>();
        for (Xml child : children) {
            if (child.name.equals(childName)) {
                found.add(child);
            }
        }
        return found;
    }

    public Xml first(String childName) {
        for (Xml child : children) {
            if (child.name.equals(childName)) {
                return child;
            }
        }
        return null;
    }

    public Xml first(String childName, String childNamespace) {
        for (Xml child : children) {
            if (child.name.equals(childName) && child.namespace.equals(childNamespace)) {
                return child;
            }
        }
        return null;
    }

    /** A deep copy, so that one received element can be sent to several peers. */
    public Xml copy() {
        Xml copy = new Xml(name, namespace);
        copy.attributes.putAll(attributes);
        copy.text = text;
        children.forEach(child -> copy.children.add(child.copy()));
        return copy;
    }

    @Override
    public String getElementName() {
        return name;
    }

    @Override
    public String getNamespace() {
        return namespace;
    }

    @Override
    public QName getQName() {
        return new QName(namespace, name);
    }

    @Override
    public CharSequence toXML(XmlEnvironment enclosing) {
        return toString();
    }

    @Override
    public String toString() {
        StringBuilder out = new StringBuilder();
        write(out, null);
        return out.toString();
    }

    void write(StringBuilder out, String outerNamespace) {
        out.append('<').append(name);
        if (!namespace.isEmpty() && !namespace.equals(outerNamespace)) {
            out.append(" xmlns='").append(escape(namespace)).append('\'');
        }
        attributes.forEach((key, value) -> out.append(' ').append(key).append("='").append(escape(value)).append('\''));
        if (text.isEmpty() && children.isEmpty()) {
            out.append("/>");
            return;
        }
        out.append('>').append(escape(text));
        String inner = namespace.isEmpty() ? outerNamespace : namespace;
        children.forEach(child -> child.write(out, inner));
        out.append("</").append(name).append('>');
    }

    private static CharSequence escape(String value) {
        return StringUtils.escapeForXml(value);
    }

    /** Reads the element that the parser stands on, up to and including its end tag. */
    public static Xml parse(XmlPullParser parser) throws XmlPullParserException, IOException {
        Xml element = new Xml(parser.getName(), parser.getNamespace());
        for (int i = 0; i < parser.getAttributeCount(); i++) {
            element.attr(parser.getAttributeName(i), parser.getAttributeValue(i));
        }
        StringBuilder text = new StringBuilder();
        while (true) {
            XmlPullParser.Event event = parser.next();
            if (event == XmlPullParser.Event.START_ELEMENT) {
                element.add(parse(parser));
            } else if (event == XmlPullParser.Event.TEXT_CHARACTERS) {
                text.append(parser.getText());
            } else if (event == XmlPullParser.Event.END_ELEMENT) {
                // White space between child elements is layout, not content.
                element.text(element.children.isEmpty() ? text.toString() : text.toString().trim());
                return element;
            }
        }
    }

    /** Smack provider for presence, message and error extensions. */
    public static final class Provider extends ExtensionElementProvider<Xml> {
        @Override
        public Xml parse(XmlPullParser parser, int initialDepth, XmlEnvironment environment)
                throws XmlPullParserException, IOException, SmackParsingException {
            return Xml.parse(parser);
        }
    }

    /** Smack provider for IQ payloads. */
    public static final class IqPayloadProvider extends IqProvider<XmlIq> {
        @Override
        public XmlIq parse(XmlPullParser parser, int initialDepth, IqData iqData, XmlEnvironment environment)
                throws XmlPullParserException, IOException, SmackParsingException {
            return new XmlIq(Xml.parse(parser));
        }
    }
}
