-- The span of the caller of a launch, as the header traceparent has it; NULL where it named none.
ALTER TABLE oxbatch_job_execution ADD COLUMN trace_parent text;
