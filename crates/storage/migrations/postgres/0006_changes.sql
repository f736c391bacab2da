-- The changes of status as they become visible: each execution keeps the transaction that changed it last.

ALTER TABLE oxbatch_job_execution ADD COLUMN change XID8 NOT NULL DEFAULT '0';
-- From here on; what was there before has not changed.
ALTER TABLE oxbatch_job_execution ALTER COLUMN change SET DEFAULT pg_current_xact_id();
CREATE INDEX oxbatch_job_execution_changed ON oxbatch_job_execution (change, id);

-- A rule of the table, so that no statement can forget it, not even one of an older node.
CREATE FUNCTION oxbatch_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.change := pg_current_xact_id();
    RETURN NEW;
END
$$;
CREATE TRIGGER oxbatch_job_execution_change BEFORE UPDATE OF status ON oxbatch_job_execution
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION oxbatch_note_change();
