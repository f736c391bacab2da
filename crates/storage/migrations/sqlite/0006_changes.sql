-- The changes of status in their order: each execution keeps the number of its last one.

-- One row. A number is never given twice, although executions are purged.
CREATE TABLE oxbatch_change (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    number INTEGER NOT NULL
) STRICT;
INSERT INTO oxbatch_change (id, number) VALUES (1, 0);

ALTER TABLE oxbatch_job_execution ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
CREATE INDEX oxbatch_job_execution_changed ON oxbatch_job_execution (change);

-- Rules of the table, so that no statement can forget them, not even one of an older process.
CREATE TRIGGER oxbatch_job_execution_new AFTER INSERT ON oxbatch_job_execution BEGIN
    UPDATE oxbatch_change SET number = number + 1;
    UPDATE oxbatch_job_execution SET change = (SELECT number FROM oxbatch_change) WHERE id = NEW.id;
END;
CREATE TRIGGER oxbatch_job_execution_change AFTER UPDATE OF status ON oxbatch_job_execution
WHEN OLD.status <> NEW.status BEGIN
    UPDATE oxbatch_change SET number = number + 1;
    UPDATE oxbatch_job_execution SET change = (SELECT number FROM oxbatch_change) WHERE id = NEW.id;
END;
