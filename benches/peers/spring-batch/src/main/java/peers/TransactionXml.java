package peers;

import java.io.IOException;
import javax.xml.stream.XMLEventFactory;
import javax.xml.stream.XMLEventReader;
import javax.xml.stream.XMLEventWriter;
import javax.xml.stream.XMLStreamException;
import javax.xml.stream.events.XMLEvent;
import javax.xml.transform.Result;
import javax.xml.transform.Source;
import org.springframework.oxm.Marshaller;
import org.springframework.oxm.MarshallingFailureException;
import org.springframework.oxm.Unmarshaller;
import org.springframework.oxm.UnmarshallingFailureException;
import org.springframework.util.xml.StaxUtils;

/** Transactions to and from XML events by hand: no reflection, and nothing is built per item but the item. */
final class TransactionXml implements Marshaller, Unmarshaller {

    private static final String ELEMENT = "transaction";
    private final XMLEventFactory events = XMLEventFactory.newInstance();

    @Override
    public boolean supports(Class<?> type) {
        return type == Transaction.class;
    }

    @Override
    public void marshal(Object item, Result result) throws IOException {
        Transaction transaction = (Transaction) item;
        XMLEventWriter writer = StaxUtils.getXMLEventWriter(result);
        try {
            writer.add(events.createStartElement("", "", ELEMENT));
            field(writer, "transaction_id", transaction.transactionId());
            field(writer, "amount", Double.toString(transaction.amount()));
            field(writer, "currency", transaction.currency());
            field(writer, "timestamp", transaction.timestamp());
            field(writer, "account_from", transaction.accountFrom());
            field(writer, "account_to", transaction.accountTo());
            field(writer, "status", transaction.status());
            field(writer, "amount_eur", Double.toString(transaction.amountEur()));
            writer.add(events.createEndElement("", "", ELEMENT));
        } catch (XMLStreamException fault) {
            throw new MarshallingFailureException("a transaction", fault);
        }
    }

    private void field(XMLEventWriter writer, String name, String value) throws XMLStreamException {
        writer.add(events.createStartElement("", "", name));
        writer.add(events.createCharacters(value));
        writer.add(events.createEndElement("", "", name));
    }

    @Override
    public Object unmarshal(Source source) throws IOException {
        String id = null, currency = null, timestamp = null, from = null, to = null, status = null;
        double amount = 0, euros = 0;
        try {
            XMLEventReader reader = StaxUtils.getXMLEventReader(source);
            while (reader.hasNext()) {
                XMLEvent event = reader.nextEvent();
                if (!event.isStartElement()) {
                    continue;
                }
                String name = event.asStartElement().getName().getLocalPart();
                if (name.equals(ELEMENT)) {
                    continue;
                }
                String text = reader.getElementText();
                switch (name) {
                    case "transaction_id" -> id = text;
                    case "amount" -> amount = Double.parseDouble(text);
                    case "currency" -> currency = text;
                    case "timestamp" -> timestamp = text;
                    case "account_from" -> from = text;
                    case "account_to" -> to = text;
                    case "status" -> status = text;
                    case "amount_eur" -> euros = Double.parseDouble(text);
                    default -> throw new UnmarshallingFailureException("unknown element " + name);
                }
            }
        } catch (XMLStreamException fault) {
            throw new UnmarshallingFailureException("a transaction", fault);
        }
        return new Transaction(id, amount, currency, timestamp, from, to, status, euros);
    }
}
