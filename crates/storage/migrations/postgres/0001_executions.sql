-- Instances, executions, step executions.

CREATE TABLE oxbatch_job_instance (
    id          BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_name    TEXT        NOT NULL CHECK (job_name <> ''),
    job_key     TEXT        NOT NULL CHECK (job_key <> ''),
    create_time TIMESTAMPTZ NOT NULL,
    UNIQUE (job_name, job_key)
);

CREATE INDEX oxbatch_job_instance_of_job ON oxbatch_job_instance (job_name, id);

CREATE TABLE oxbatch_job_instance_parameter (
    id              BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_instance_id BIGINT           NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    key_name        TEXT             NOT NULL,
    type            TEXT             NOT NULL,
    string_value    TEXT,
    -- PostgreSQL's text holds no NUL: a string with one is kept in JSON's form.
    string_escaped  BOOLEAN          NOT NULL DEFAULT FALSE,
    long_value      BIGINT,
    double_value    DOUBLE PRECISION,
    -- Microseconds since 1970, UTC: a parameter may lie before PostgreSQL's first day.
    date_value      BIGINT,
    date_only       BOOLEAN          NOT NULL,
    identifying     BOOLEAN          NOT NULL,
    secret          BOOLEAN          NOT NULL,
    UNIQUE (job_instance_id, key_name),
    CHECK (num_nonnulls(string_value, long_value, double_value, date_value) = 1),
    CHECK (CASE type
               WHEN 'STRING' THEN string_value IS NOT NULL
               WHEN 'INTEGER' THEN long_value IS NOT NULL
               WHEN 'FLOAT' THEN double_value IS NOT NULL
               WHEN 'DATETIME' THEN date_value IS NOT NULL
               ELSE FALSE
           END)
);

-- Rows that are rewritten often keep room for their new versions on their page: no index is touched then.
CREATE TABLE oxbatch_job_execution (
    id                 BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_instance_id    BIGINT      NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    job_name           TEXT        NOT NULL,
    status             TEXT        NOT NULL CHECK (status IN
        ('STARTING', 'STARTED', 'STOPPING', 'STOPPED', 'FAILED', 'COMPLETED', 'ABANDONED')),
    create_time        TIMESTAMPTZ NOT NULL,
    start_time         TIMESTAMPTZ,
    end_time           TIMESTAMPTZ,
    exit_code          TEXT,
    exit_message       TEXT,
    -- Text, not jsonb: what was given comes back byte by byte.
    parameters         TEXT        NOT NULL CHECK (parameters::json IS NOT NULL),
    context            TEXT,
    forced             BOOLEAN     NOT NULL,
    -- The execution from which completed steps count; NULL for this one itself.
    first_execution_id BIGINT      CHECK (first_execution_id < id),
    recovery_count     BIGINT      NOT NULL DEFAULT 0 CHECK (recovery_count >= 0),
    -- It was stopped by a shutdown and goes on at the next start.
    resume_pending     BOOLEAN     NOT NULL DEFAULT FALSE,
    node               TEXT,
    lease_owner        TEXT,
    lease_epoch        BIGINT      NOT NULL DEFAULT 0 CHECK (lease_epoch >= 0),
    lease_deadline     TIMESTAMPTZ,
    CHECK ((status IN ('STARTING', 'STARTED', 'STOPPING')) = (end_time IS NULL)),
    CHECK ((status IN ('STARTED', 'STOPPING')) = (lease_owner IS NOT NULL)),
    CHECK ((lease_owner IS NULL) = (lease_deadline IS NULL)),
    CHECK (NOT resume_pending OR status = 'STOPPED')
) WITH (fillfactor = 80);

-- Exclusion: of two launches of one instance the second fails, whoever makes them.
CREATE UNIQUE INDEX oxbatch_job_execution_one_running ON oxbatch_job_execution (job_instance_id)
    WHERE status IN ('STARTING', 'STARTED', 'STOPPING');
CREATE INDEX oxbatch_job_execution_waiting ON oxbatch_job_execution (id, job_name)
    WHERE status = 'STARTING' AND lease_owner IS NULL;
-- Without the deadline, which changes with each renewal: a renewal touches no index.
CREATE INDEX oxbatch_job_execution_leased ON oxbatch_job_execution (lease_owner)
    WHERE lease_owner IS NOT NULL;
CREATE INDEX oxbatch_job_execution_to_resume ON oxbatch_job_execution (id) WHERE resume_pending;
CREATE INDEX oxbatch_job_execution_of_instance ON oxbatch_job_execution (job_instance_id, id);
CREATE INDEX oxbatch_job_execution_of_job ON oxbatch_job_execution (job_name, id);
CREATE INDEX oxbatch_job_execution_of_status ON oxbatch_job_execution (status, id);
CREATE INDEX oxbatch_job_execution_of_job_and_status ON oxbatch_job_execution (job_name, status, id);
CREATE INDEX oxbatch_job_execution_created ON oxbatch_job_execution (create_time, id);
CREATE INDEX oxbatch_job_execution_ended ON oxbatch_job_execution (end_time, id) WHERE end_time IS NOT NULL;

CREATE TABLE oxbatch_step_execution (
    id                 BIGINT           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_execution_id   BIGINT           NOT NULL REFERENCES oxbatch_job_execution (id) ON DELETE CASCADE,
    job_instance_id    BIGINT           NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    step_name          TEXT             NOT NULL CHECK (step_name <> ''),
    status             TEXT             NOT NULL CHECK (status IN
        ('STARTED', 'STOPPING', 'STOPPED', 'FAILED', 'COMPLETED')),
    start_time         TIMESTAMPTZ      NOT NULL,
    end_time           TIMESTAMPTZ,
    exit_code          TEXT,
    exit_message       TEXT,
    read_count         BIGINT           NOT NULL DEFAULT 0,
    write_count        BIGINT           NOT NULL DEFAULT 0,
    filter_count       BIGINT           NOT NULL DEFAULT 0,
    commit_count       BIGINT           NOT NULL DEFAULT 0,
    rollback_count     BIGINT           NOT NULL DEFAULT 0,
    read_skip_count    BIGINT           NOT NULL DEFAULT 0,
    process_skip_count BIGINT           NOT NULL DEFAULT 0,
    write_skip_count   BIGINT           NOT NULL DEFAULT 0,
    retry_count        BIGINT           NOT NULL DEFAULT 0,
    progress           DOUBLE PRECISION,
    -- Copied from the execution when the step began: the fence of its commits stands in its own row.
    lease_epoch        BIGINT           NOT NULL,
    -- Counts the saves: whether a commit whose answer was lost has happened stands here, and a late one finds it changed.
    revision           BIGINT           NOT NULL DEFAULT 0,
    state              TEXT,
    CHECK ((status IN ('STARTED', 'STOPPING')) = (end_time IS NULL)),
    CHECK (least(read_count, write_count, filter_count, commit_count, rollback_count, read_skip_count,
               process_skip_count, write_skip_count, retry_count) >= 0)
) WITH (fillfactor = 50);

CREATE INDEX oxbatch_step_execution_attempts
    ON oxbatch_step_execution (job_instance_id, step_name, job_execution_id, id);
CREATE INDEX oxbatch_step_execution_of_execution ON oxbatch_step_execution (job_execution_id, id);

CREATE TABLE oxbatch_idempotency_key (
    key              TEXT        NOT NULL PRIMARY KEY,
    request_hash     TEXT        NOT NULL,
    job_execution_id BIGINT      NOT NULL REFERENCES oxbatch_job_execution (id) ON DELETE CASCADE,
    create_time      TIMESTAMPTZ NOT NULL
);

CREATE INDEX oxbatch_idempotency_key_of_execution ON oxbatch_idempotency_key (job_execution_id);
CREATE INDEX oxbatch_idempotency_key_created ON oxbatch_idempotency_key (create_time);
