// SPDX-License-Identifier: GPL-3.0-or-later
package campus.jitsi.standin.common;

import org.jivesoftware.smack.packet.ErrorIQ;
import org.jivesoftware.smack.packet.IQ;
import org.jivesoftware.smack.packet.StanzaError;
import org.jxmpp.jid.Jid;

/** An IQ whose payload is an {@link Xml} tree. */
public final class XmlIq extends IQ {
    private final Xml payload;

    public XmlIq(Xml payload) {
        super(payload.getElementName(), payload.getNamespace());
        this.payload = payload;
    }

    public static XmlIq set(Jid to, Xml payload) {
        XmlIq iq = new XmlIq(payload);
        iq.setType(IQ.Type.set);
        iq.setTo(to);
        return iq;
    }

    public static XmlIq get(Jid to, Xml payload) {
        XmlIq iq = set(to, payload);
        iq.setType(IQ.Type.get);
        return iq;
    }

    public static XmlIq result(IQ request, Xml payload) {
        XmlIq iq = new XmlIq(payload);
        iq.setType(IQ.Type.result);
        iq.setStanzaId(request.getStanzaId());
        iq.setTo(request.getFrom());
        iq.setFrom(request.getTo());
        return iq;
    }

    public static ErrorIQ error(IQ request, StanzaError.Condition condition, String text, Xml... details) {
        StanzaError.Builder error = StanzaError.getBuilder(condition);
        if (text != null && !text.isEmpty()) {
            error.setDescriptiveEnText(text);
        }
        if (details.length > 0) {
            error.setExtensions(java.util.List.of(details));
        }
        return IQ.createErrorResponse(request, error.build());
    }

    public Xml payload() {
        return payload;
    }

    @Override
    protected IQChildElementXmlStringBuilder getIQChildElementBuilder(IQChildElementXmlStringBuilder xml) {
        payload.attributes().forEach((key, value) -> xml.attribute(key, value));
        if (payload.children().isEmpty() && payload.text().isEmpty()) {
            xml.setEmptyElement();
            return xml;
        }
        xml.rightAngleBracket();
        xml.escape(payload.text());
        StringBuilder inner = new StringBuilder();
        payload.children().forEach(child -> child.write(inner, payload.getNamespace()));
        xml.append(inner);
        return xml;
    }
}
