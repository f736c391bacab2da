-- Nodes that share the database, and the order of the queue.

CREATE TABLE oxbatch_node (
    boot_id    UUID        NOT NULL PRIMARY KEY,
    name       TEXT        NOT NULL CHECK (name <> ''),
    version    TEXT        NOT NULL,
    jobs       TEXT[]      NOT NULL,
    capacity   BIGINT      NOT NULL CHECK (capacity >= 0),
    -- Microseconds after the last heartbeat at which its executions are taken over.
    lease      BIGINT      NOT NULL CHECK (lease >= 0),
    start_time TIMESTAMPTZ NOT NULL,
    -- By the database's clock.
    heartbeat  TIMESTAMPTZ NOT NULL,
    draining   BOOLEAN     NOT NULL DEFAULT FALSE,
    drain_stop BOOLEAN     NOT NULL DEFAULT FALSE CHECK (draining OR NOT drain_stop),
    drain_exit BOOLEAN     NOT NULL DEFAULT FALSE CHECK (draining OR NOT drain_exit)
) WITH (fillfactor = 50);

ALTER TABLE oxbatch_job_execution ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

DROP INDEX oxbatch_job_execution_waiting;
CREATE INDEX oxbatch_job_execution_waiting ON oxbatch_job_execution (priority DESC, id, job_name)
    WHERE status = 'STARTING' AND lease_owner IS NULL;

-- One row, locked by whoever claims within limits: the counts that follow see all claims before, so that limits hold
-- exactly.
CREATE TABLE oxbatch_claim_turn (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1)
);
INSERT INTO oxbatch_claim_turn (id) VALUES (1);
