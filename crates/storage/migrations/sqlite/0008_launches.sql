-- Numbers of new runs, and executions that nothing resumes.

-- The greatest run number that a job has had; a job without a row has not been launched as a new run yet. A number is never
-- given twice, although instances are purged.
CREATE TABLE oxbatch_run_number (
    job_name TEXT    NOT NULL PRIMARY KEY CHECK (job_name <> ''),
    last_run INTEGER NOT NULL CHECK (last_run > 0)
) STRICT, WITHOUT ROWID;

-- As the job was defined when it was launched: a node that recovers the execution may not know the job.
ALTER TABLE oxbatch_job_execution ADD COLUMN restartable INTEGER NOT NULL DEFAULT 1 CHECK (restartable IN (0, 1));
