-- The logs of executions: compressed segments of lines, removed with their execution. The last one of an execution that
-- runs grows until it is long enough.
CREATE TABLE oxbatch_log_segment (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    job_execution_id INTEGER NOT NULL REFERENCES oxbatch_job_execution (id) ON DELETE CASCADE,
    lines            INTEGER NOT NULL CHECK (lines > 0),
    -- The most severe level of its lines: 1 for an error, 5 for a trace.
    worst            INTEGER NOT NULL CHECK (worst BETWEEN 1 AND 5),
    size             INTEGER NOT NULL CHECK (size > 0),
    data             BLOB    NOT NULL
) STRICT;

CREATE INDEX oxbatch_log_segment_of_execution ON oxbatch_log_segment (job_execution_id, id);
