-- Nodes that share the database, and the order of the queue.

CREATE TABLE oxbatch_node (
    boot_id    TEXT    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL CHECK (name <> ''),
    version    TEXT    NOT NULL,
    jobs       TEXT    NOT NULL CHECK (json_valid(jobs)),
    capacity   INTEGER NOT NULL CHECK (capacity >= 0),
    -- Microseconds after the last heartbeat at which its executions are taken over.
    lease      INTEGER NOT NULL CHECK (lease >= 0),
    start_time INTEGER NOT NULL,
    -- By the database's clock.
    heartbeat  INTEGER NOT NULL,
    draining   INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1)),
    drain_stop INTEGER NOT NULL DEFAULT 0 CHECK (drain_stop IN (0, 1) AND drain_stop <= draining),
    drain_exit INTEGER NOT NULL DEFAULT 0 CHECK (drain_exit IN (0, 1) AND drain_exit <= draining)
) STRICT, WITHOUT ROWID;

ALTER TABLE oxbatch_job_execution ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

DROP INDEX oxbatch_job_execution_waiting;
CREATE INDEX oxbatch_job_execution_waiting ON oxbatch_job_execution (priority DESC, id, job_name)
    WHERE status = 'STARTING' AND lease_owner IS NULL;
