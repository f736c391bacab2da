package peers;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import javax.sql.DataSource;
import org.postgresql.PGConnection;
import org.springframework.batch.infrastructure.item.Chunk;
import org.springframework.batch.infrastructure.item.ItemWriter;
import org.springframework.jdbc.datasource.DataSourceUtils;

/** Writes a chunk by one COPY in the chunk's transaction. */
final class CopyWriter implements ItemWriter<Transaction> {

    private final DataSource dataSource;
    private final String statement;

    CopyWriter(DataSource dataSource, String table) {
        this.dataSource = dataSource;
        this.statement = "COPY " + table + " FROM STDIN";
    }

    @Override
    public void write(Chunk<? extends Transaction> chunk) throws Exception {
        StringBuilder text = new StringBuilder(chunk.size() * 128);
        for (Transaction item : chunk) {
            field(text, item.transactionId()).append('\t').append(item.amount()).append('\t');
            field(text, item.currency()).append('\t');
            field(text, item.timestamp()).append('\t');
            field(text, item.accountFrom()).append('\t');
            field(text, item.accountTo()).append('\t');
            field(text, item.status()).append('\t').append(item.amountEur()).append('\n');
        }
        // The chunk's own connection: the rows and the repository's record are committed together.
        Connection connection = DataSourceUtils.getConnection(dataSource);
        try {
            connection.unwrap(PGConnection.class).getCopyAPI()
                    .copyIn(statement, new ByteArrayInputStream(text.toString().getBytes(StandardCharsets.UTF_8)));
        } finally {
            DataSourceUtils.releaseConnection(connection, dataSource);
        }
    }

    private static StringBuilder field(StringBuilder text, String value) {
        for (int index = 0; index < value.length(); index++) {
            char letter = value.charAt(index);
            switch (letter) {
                case '\\' -> text.append("\\\\");
                case '\t' -> text.append("\\t");
                case '\n' -> text.append("\\n");
                case '\r' -> text.append("\\r");
                default -> text.append(letter);
            }
        }
        return text;
    }
}
