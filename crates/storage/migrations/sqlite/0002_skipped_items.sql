-- Items that steps went on without; written in the transaction of their chunk.

CREATE TABLE oxbatch_skipped_item (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    step_execution_id INTEGER NOT NULL REFERENCES oxbatch_step_execution (id) ON DELETE CASCADE,
    create_time       INTEGER NOT NULL,
    phase             TEXT    NOT NULL CHECK (phase IN ('READ', 'PROCESS', 'WRITE')),
    position          TEXT,
    item              TEXT,
    error             TEXT    NOT NULL
) STRICT;

CREATE INDEX oxbatch_skipped_item_of_step ON oxbatch_skipped_item (step_execution_id, id);
