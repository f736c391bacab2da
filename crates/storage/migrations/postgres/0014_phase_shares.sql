-- The shares of the time that the phases of a chunk step took, as JSON; NULL for a task and while it runs.
ALTER TABLE oxbatch_step_execution ADD COLUMN phase_shares text;
