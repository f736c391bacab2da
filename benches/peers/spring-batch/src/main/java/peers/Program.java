package peers;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.logging.Level;
import java.util.logging.Logger;
import javax.sql.DataSource;
import org.springframework.batch.core.BatchStatus;
import org.springframework.batch.core.job.Job;
import org.springframework.batch.core.job.JobExecution;
import org.springframework.batch.core.job.builder.JobBuilder;
import org.springframework.batch.core.job.parameters.JobParametersBuilder;
import org.springframework.batch.core.launch.JobOperator;
import org.springframework.batch.core.repository.JobRepository;
import org.springframework.batch.core.step.Step;
import org.springframework.batch.core.step.StepExecution;
import org.springframework.batch.core.step.builder.StepBuilder;
import org.springframework.batch.infrastructure.item.ItemReader;
import org.springframework.batch.infrastructure.item.ItemWriter;
import org.springframework.batch.infrastructure.item.database.builder.JdbcBatchItemWriterBuilder;
import org.springframework.batch.infrastructure.item.database.builder.JdbcCursorItemReaderBuilder;
import org.springframework.batch.infrastructure.item.file.builder.FlatFileItemReaderBuilder;
import org.springframework.batch.infrastructure.item.xml.builder.StaxEventItemReaderBuilder;
import org.springframework.batch.infrastructure.item.xml.builder.StaxEventItemWriterBuilder;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.core.io.ClassPathResource;
import org.springframework.core.io.FileSystemResource;
import org.springframework.jdbc.datasource.init.ResourceDatabasePopulator;
import org.springframework.transaction.PlatformTransactionManager;

/** The public benchmark by Spring Batch: {@code VARIANT WORK ROWS CHUNK FOLDER}; answers one line of JSON. */
public final class Program {

    private final DataSource dataSource;
    private final PlatformTransactionManager transactions;
    private final JobRepository repository;
    private final int chunk;
    private final boolean copy;

    private Program(AnnotationConfigApplicationContext context, int chunk, boolean copy) {
        this.dataSource = context.getBean(DataSource.class);
        this.transactions = context.getBean(PlatformTransactionManager.class);
        this.repository = context.getBean(JobRepository.class);
        this.chunk = chunk;
        this.copy = copy;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 5 || !arguments[1].equals("pipeline")) {
            System.err.println("arguments: spring-batch|spring-batch-copy pipeline ROWS CHUNK FOLDER");
            System.exit(2);
        }
        Logger.getLogger("").setLevel(Level.WARNING);
        boolean copy = arguments[0].equals("spring-batch-copy");
        int chunk = Integer.parseInt(arguments[3]);
        Path folder = Path.of(arguments[4]);
        try (var context = new AnnotationConfigApplicationContext(BatchConfiguration.class)) {
            Program program = new Program(context, chunk, copy);
            program.createRepositoryTables();
            Job job = program.job(folder);
            long start = System.nanoTime();
            JobExecution execution = context.getBean(JobOperator.class)
                    .start(job, new JobParametersBuilder().addLong("run", System.currentTimeMillis()).toJobParameters());
            double seconds = (System.nanoTime() - start) / 1e9;
            if (execution.getStatus() != BatchStatus.COMPLETED) {
                execution.getAllFailureExceptions().forEach(Throwable::printStackTrace);
                System.err.println(execution);
                System.exit(1);
            }
            StringBuilder parts = new StringBuilder();
            for (StepExecution step : execution.getStepExecutions()) {
                double part = Duration.between(step.getStartTime(), step.getEndTime()).toNanos() / 1e9;
                parts.append(parts.isEmpty() ? "" : ",")
                        .append(String.format(Locale.ROOT, "\"%s\":%.6f", step.getStepName(), part));
            }
            System.out.printf(Locale.ROOT, "{\"seconds\":%.6f,\"parts\":{%s}}%n", seconds, parts);
        }
    }

    private void createRepositoryTables() {
        String folder = "org/springframework/batch/core/";
        new ResourceDatabasePopulator(new ClassPathResource(folder + "schema-drop-postgresql.sql"),
                new ClassPathResource(folder + "schema-postgresql.sql")).execute(dataSource);
    }

    private Job job(Path folder) throws Exception {
        Path xml = folder.resolve("spring-batch.xml");
        return new JobBuilder("benchmark", repository).start(importCsv(folder.resolve("trades.csv")))
                .next(exportXml(xml)).next(importXml(xml)).build();
    }

    private Step importCsv(Path csv) {
        ItemReader<Trade> reader = new FlatFileItemReaderBuilder<Trade>().name("trades")
                .resource(new FileSystemResource(csv)).linesToSkip(1).delimited()
                .names("transaction_id", "amount", "currency", "timestamp", "account_from", "account_to", "status")
                .fieldSetMapper(line -> new Trade(line.readString(0), line.readDouble(1), line.readString(2),
                        line.readString(3), line.readString(4), line.readString(5), line.readString(6)))
                .build();
        return new StepBuilder("csv to postgres", repository).<Trade, Transaction>chunk(chunk)
                .transactionManager(transactions).reader(reader).processor(Transaction::of)
                .writer(tableWriter("transactions")).build();
    }

    private Step exportXml(Path xml) {
        TransactionXml marshaller = new TransactionXml();
        // A cursor that lives through the commits of the chunks: it has its own connection, without auto-commit, since
        // the driver reads the whole table at once otherwise.
        ItemReader<Transaction> reader = new JdbcCursorItemReaderBuilder<Transaction>().name("rows")
                .dataSource(dataSource).fetchSize(chunk).connectionAutoCommit(false).verifyCursorPosition(false)
                .sql("SELECT transaction_id, amount, currency, timestamp, account_from, account_to, status, amount_eur"
                        + " FROM transactions ORDER BY transaction_id")
                .rowMapper((row, number) -> new Transaction(row.getString(1), row.getDouble(2), row.getString(3),
                        row.getString(4), row.getString(5), row.getString(6), row.getString(7), row.getDouble(8)))
                .build();
        ItemWriter<Transaction> writer = new StaxEventItemWriterBuilder<Transaction>().name("elements")
                .resource(new FileSystemResource(xml)).rootTagName("transactions").marshaller(marshaller).build();
        return new StepBuilder("postgres to xml", repository).<Transaction, Transaction>chunk(chunk)
                .transactionManager(transactions).reader(reader).writer(writer).build();
    }

    private Step importXml(Path xml) {
        ItemReader<Transaction> reader = new StaxEventItemReaderBuilder<Transaction>().name("elements")
                .resource(new FileSystemResource(xml)).addFragmentRootElements("transaction")
                .unmarshaller(new TransactionXml()).build();
        return new StepBuilder("xml to postgres", repository).<Transaction, Transaction>chunk(chunk)
                .transactionManager(transactions).reader(reader).writer(tableWriter("transactions_import")).build();
    }

    private ItemWriter<Transaction> tableWriter(String table) {
        if (copy) {
            return new CopyWriter(dataSource, table);
        }
        var writer = new JdbcBatchItemWriterBuilder<Transaction>().dataSource(dataSource)
                .sql("INSERT INTO " + table + " (transaction_id, amount, currency, timestamp, account_from, account_to,"
                        + " status, amount_eur) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
                .itemPreparedStatementSetter((item, statement) -> {
                    statement.setString(1, item.transactionId());
                    statement.setDouble(2, item.amount());
                    statement.setString(3, item.currency());
                    statement.setString(4, item.timestamp());
                    statement.setString(5, item.accountFrom());
                    statement.setString(6, item.accountTo());
                    statement.setString(7, item.status());
                    statement.setDouble(8, item.amountEur());
                }).build();
        writer.afterPropertiesSet();
        return writer;
    }
}
