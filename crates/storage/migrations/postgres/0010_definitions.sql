-- Fingerprints of the definitions of jobs, as JSON, for restarts under another definition.

-- That with which a node has taken the execution; NULL before, and in rows of older versions.
ALTER TABLE oxbatch_job_execution ADD COLUMN definition TEXT;
-- That on which its past depends; NULL where nothing is to be compared.
ALTER TABLE oxbatch_job_execution ADD COLUMN past_definition TEXT;
