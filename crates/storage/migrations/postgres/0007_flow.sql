-- Flows: rounds of cycles, sums over attempts, the history of the elements that have ended, the result of the main part.

ALTER TABLE oxbatch_step_execution ADD COLUMN iteration BIGINT NOT NULL DEFAULT 1;
-- Sums of the counters of the attempts before, as JSON; NULL where nothing was counted.
ALTER TABLE oxbatch_step_execution ADD COLUMN earlier_counters TEXT;

-- The result of the main part, before the steps at the end begin, and the execution that came to it.
ALTER TABLE oxbatch_job_execution ADD COLUMN main_execution_id BIGINT;
ALTER TABLE oxbatch_job_execution ADD COLUMN main_status TEXT;
ALTER TABLE oxbatch_job_execution ADD COLUMN main_exit_code TEXT;
ALTER TABLE oxbatch_job_execution ADD COLUMN main_exit_message TEXT;

-- The executions are no references: the history of an instance stays as long as the instance, whatever is purged of it.
CREATE TABLE oxbatch_flow_entry (
    job_instance_id    BIGINT NOT NULL REFERENCES oxbatch_job_instance (id) ON DELETE CASCADE,
    -- The execution from which completed elements count: a forced launch begins a new history.
    first_execution_id BIGINT NOT NULL,
    position           BIGINT NOT NULL CHECK (position >= 0),
    element            TEXT    NOT NULL CHECK (element <> ''),
    iteration          BIGINT NOT NULL CHECK (iteration >= 1),
    job_execution_id   BIGINT NOT NULL,
    -- NULL for a decider.
    step_execution_id  BIGINT,
    status             TEXT    NOT NULL CHECK (status IN ('COMPLETED', 'FAILED')),
    exit_code          TEXT    NOT NULL,
    taken              TEXT    NOT NULL CHECK (taken IN ('TO', 'END', 'FAIL', 'STOP')),
    target             TEXT,
    taken_exit_code    TEXT,
    PRIMARY KEY (job_instance_id, first_execution_id, position),
    CHECK (CASE taken WHEN 'TO' THEN target IS NOT NULL WHEN 'STOP' THEN TRUE ELSE target IS NULL END)
);
