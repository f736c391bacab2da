-- Instances, executions, step executions. Times are microseconds since 1970, UTC.

CREATE TABLE oxbatch_job_instance (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    job_name    TEXT    NOT NULL CHECK (job_name <> ''),
    job_key     TEXT    NOT NULL CHECK (job_key <> ''),
    create_time INTEGER NOT NULL,
    UNIQUE (job_name, job_key)
) STRICT;

CREATE INDEX oxbatch_job_instance_of_job ON oxbatch_job_instance (job_name, id);

CREATE TABLE oxbatch_job_instance_parameter (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    job_instance_id INTEGER NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    key_name        TEXT    NOT NULL,
    type            TEXT    NOT NULL,
    string_value    TEXT,
    long_value      INTEGER,
    double_value    REAL,
    date_value      INTEGER,
    date_only       INTEGER NOT NULL CHECK (date_only IN (0, 1)),
    identifying     INTEGER NOT NULL CHECK (identifying IN (0, 1)),
    secret          INTEGER NOT NULL CHECK (secret IN (0, 1)),
    UNIQUE (job_instance_id, key_name),
    CHECK ((string_value IS NOT NULL) + (long_value IS NOT NULL)
         + (double_value IS NOT NULL) + (date_value IS NOT NULL) = 1),
    CHECK (CASE type
               WHEN 'STRING' THEN string_value IS NOT NULL
               WHEN 'INTEGER' THEN long_value IS NOT NULL
               WHEN 'FLOAT' THEN double_value IS NOT NULL
               WHEN 'DATETIME' THEN date_value IS NOT NULL
               ELSE 0
           END)
) STRICT;

CREATE TABLE oxbatch_job_execution (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    job_instance_id    INTEGER NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    job_name           TEXT    NOT NULL,
    status             TEXT    NOT NULL CHECK (status IN
        ('STARTING', 'STARTED', 'STOPPING', 'STOPPED', 'FAILED', 'COMPLETED', 'ABANDONED')),
    create_time        INTEGER NOT NULL,
    start_time         INTEGER,
    end_time           INTEGER,
    exit_code          TEXT,
    exit_message       TEXT,
    parameters         TEXT    NOT NULL CHECK (json_valid(parameters)),
    context            TEXT,
    forced             INTEGER NOT NULL CHECK (forced IN (0, 1)),
    -- The execution from which completed steps count; NULL for this one itself.
    first_execution_id INTEGER CHECK (first_execution_id < id),
    recovery_count     INTEGER NOT NULL DEFAULT 0 CHECK (recovery_count >= 0),
    -- It was stopped by a shutdown and goes on at the next start.
    resume_pending     INTEGER NOT NULL DEFAULT 0 CHECK (resume_pending IN (0, 1)),
    node               TEXT,
    lease_owner        TEXT,
    lease_epoch        INTEGER NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
    lease_deadline     INTEGER,
    CHECK ((status IN ('STARTING', 'STARTED', 'STOPPING')) = (end_time IS NULL)),
    CHECK ((status IN ('STARTED', 'STOPPING')) = (lease_owner IS NOT NULL)),
    CHECK ((lease_owner IS NULL) = (lease_deadline IS NULL)),
    CHECK (resume_pending = 0 OR status = 'STOPPED')
) STRICT;

-- Exclusion: of two launches of one instance the second fails, whoever makes them.
CREATE UNIQUE INDEX oxbatch_job_execution_one_running ON oxbatch_job_execution (job_instance_id)
    WHERE status IN ('STARTING', 'STARTED', 'STOPPING');
CREATE INDEX oxbatch_job_execution_waiting ON oxbatch_job_execution (id, job_name)
    WHERE status = 'STARTING' AND lease_owner IS NULL;
CREATE INDEX oxbatch_job_execution_leased ON oxbatch_job_execution (lease_owner, lease_deadline)
    WHERE lease_owner IS NOT NULL;
CREATE INDEX oxbatch_job_execution_to_resume ON oxbatch_job_execution (id) WHERE resume_pending = 1;
CREATE INDEX oxbatch_job_execution_of_instance ON oxbatch_job_execution (job_instance_id, id);
CREATE INDEX oxbatch_job_execution_of_job ON oxbatch_job_execution (job_name, id);
CREATE INDEX oxbatch_job_execution_of_status ON oxbatch_job_execution (status, id);
CREATE INDEX oxbatch_job_execution_of_job_and_status ON oxbatch_job_execution (job_name, status, id);
CREATE INDEX oxbatch_job_execution_created ON oxbatch_job_execution (create_time, id);
CREATE INDEX oxbatch_job_execution_ended ON oxbatch_job_execution (end_time, id) WHERE end_time IS NOT NULL;

CREATE TABLE oxbatch_step_execution (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    job_execution_id   INTEGER NOT NULL REFERENCES oxbatch_job_execution (id) ON DELETE CASCADE,
    job_instance_id    INTEGER NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    step_name          TEXT    NOT NULL CHECK (step_name <> ''),
    status             TEXT    NOT NULL CHECK (status IN
        ('STARTED', 'STOPPING', 'STOPPED', 'FAILED', 'COMPLETED')),
    start_time         INTEGER NOT NULL,
    end_time           INTEGER,
    exit_code          TEXT,
    exit_message       TEXT,
    read_count         INTEGER NOT NULL DEFAULT 0,
    write_count        INTEGER NOT NULL DEFAULT 0,
    filter_count       INTEGER NOT NULL DEFAULT 0,
    commit_count       INTEGER NOT NULL DEFAULT 0,
    rollback_count     INTEGER NOT NULL DEFAULT 0,
    read_skip_count    INTEGER NOT NULL DEFAULT 0,
    process_skip_count INTEGER NOT NULL DEFAULT 0,
    write_skip_count   INTEGER NOT NULL DEFAULT 0,
    retry_count        INTEGER NOT NULL DEFAULT 0,
    progress           REAL,
    -- Copied from the execution when the step began: the fence of its commits stands in its own row.
    lease_epoch        INTEGER NOT NULL,
    -- Last, because it may be long and spill over: what stands before it is read without it.
    state              TEXT,
    CHECK ((status IN ('STARTED', 'STOPPING')) = (end_time IS NULL)),
    CHECK (min(read_count, write_count, filter_count, commit_count, rollback_count, read_skip_count,
               process_skip_count, write_skip_count, retry_count) >= 0)
) STRICT;

CREATE INDEX oxbatch_step_execution_attempts
    ON oxbatch_step_execution (job_instance_id, step_name, job_execution_id, id);
CREATE INDEX oxbatch_step_execution_of_execution ON oxbatch_step_execution (job_execution_id, id);

CREATE TABLE oxbatch_idempotency_key (
    key              TEXT    NOT NULL PRIMARY KEY,
    request_hash     TEXT    NOT NULL,
    job_execution_id INTEGER NOT NULL REFERENCES oxbatch_job_execution (id) ON DELETE CASCADE,
    create_time      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oxbatch_idempotency_key_of_execution ON oxbatch_idempotency_key (job_execution_id);
CREATE INDEX oxbatch_idempotency_key_created ON oxbatch_idempotency_key (create_time);
