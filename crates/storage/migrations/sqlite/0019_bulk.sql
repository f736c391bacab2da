-- Bulk work: one action on all executions that a filter finds, from the newest on. Times are microseconds since 1970, UTC,
-- in both databases.
CREATE TABLE oxbatch_bulk (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    action      TEXT NOT NULL CHECK (action IN ('RESTART', 'STOP', 'ABANDON')),
    filter      TEXT NOT NULL,
    -- Of action and filter.
    digest      TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('RUNNING', 'ENDED', 'CANCELLED')),
    create_time INTEGER NOT NULL,
    end_time    INTEGER,
    -- Executions with a smaller id are left.
    next_before INTEGER NOT NULL,
    done        INTEGER NOT NULL DEFAULT 0,
    left_out    INTEGER NOT NULL DEFAULT 0,
    owner       TEXT,
    owned_until INTEGER,
    CHECK ((status = 'RUNNING') = (end_time IS NULL))
) STRICT;

-- Of two operators at one button one wins.
CREATE UNIQUE INDEX oxbatch_bulk_one_running ON oxbatch_bulk (digest) WHERE status = 'RUNNING';

CREATE TABLE oxbatch_bulk_result (
    bulk_id          INTEGER NOT NULL REFERENCES oxbatch_bulk (id) ON DELETE CASCADE,
    execution_id     INTEGER NOT NULL,
    outcome          TEXT NOT NULL CHECK (outcome IN ('DONE', 'LEFT_OUT')),
    message          TEXT,
    new_execution_id INTEGER,
    PRIMARY KEY (bulk_id, execution_id)
) STRICT, WITHOUT ROWID;
