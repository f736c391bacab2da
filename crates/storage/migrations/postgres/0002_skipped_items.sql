-- Items that steps went on without; written in the transaction of their chunk.

CREATE TABLE oxbatch_skipped_item (
    id                BIGINT      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    step_execution_id BIGINT      NOT NULL REFERENCES oxbatch_step_execution (id) ON DELETE CASCADE,
    create_time       TIMESTAMPTZ NOT NULL,
    phase             TEXT        NOT NULL CHECK (phase IN ('READ', 'PROCESS', 'WRITE')),
    position          TEXT,
    item              TEXT,
    error             TEXT        NOT NULL
);

CREATE INDEX oxbatch_skipped_item_of_step ON oxbatch_skipped_item (step_execution_id, id);
