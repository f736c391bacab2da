-- Running times, for time limits, and the time of the last change of a status. All by the clock of the database.

-- NULL in rows of before: their other times tell it.
ALTER TABLE oxbatch_job_execution ADD COLUMN change_time INTEGER;

-- The execution that was launched, and that this one goes on with by itself; NULL for itself.
ALTER TABLE oxbatch_job_execution ADD COLUMN launch_execution_id INTEGER;
-- The time for which those have run, in microseconds.
ALTER TABLE oxbatch_job_execution ADD COLUMN earlier_time INTEGER NOT NULL DEFAULT 0 CHECK (earlier_time >= 0);
ALTER TABLE oxbatch_job_execution ADD COLUMN running_since INTEGER;
ALTER TABLE oxbatch_job_execution ADD COLUMN running_until INTEGER;
-- The running time at which the main part came to its result, in microseconds.
ALTER TABLE oxbatch_job_execution ADD COLUMN main_time INTEGER;

ALTER TABLE oxbatch_step_execution ADD COLUMN earlier_time INTEGER NOT NULL DEFAULT 0 CHECK (earlier_time >= 0);
ALTER TABLE oxbatch_step_execution ADD COLUMN running_since INTEGER;
ALTER TABLE oxbatch_step_execution ADD COLUMN running_until INTEGER;
