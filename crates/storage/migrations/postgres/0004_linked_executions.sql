-- Executions that run the skipped items of another again, and what was run again already.

-- Not a reference: an execution stays the re-run that it is although the first one is purged.
ALTER TABLE oxbatch_job_execution ADD COLUMN rerun_of BIGINT CHECK (rerun_of < id);
ALTER TABLE oxbatch_job_execution ADD COLUMN rerun_by BIGINT
    REFERENCES oxbatch_job_execution (id) ON DELETE SET NULL CHECK (rerun_by > id);
CREATE INDEX oxbatch_job_execution_rerun_of ON oxbatch_job_execution (rerun_of, id) WHERE rerun_of IS NOT NULL;
CREATE INDEX oxbatch_job_execution_rerun_by ON oxbatch_job_execution (rerun_by) WHERE rerun_by IS NOT NULL;

-- Whether all of the item was kept; of the rows from before, those that do not end as a cut text does.
ALTER TABLE oxbatch_skipped_item ADD COLUMN complete BOOLEAN NOT NULL DEFAULT false;
UPDATE oxbatch_skipped_item SET complete = true WHERE item IS NOT NULL AND item NOT LIKE '%…';
-- Not a reference: what was run again once is never run again, whatever is purged.
ALTER TABLE oxbatch_skipped_item ADD COLUMN rerun_execution_id BIGINT;
