-- Ranges of calendar days whose fires are launched once more, or at last.
CREATE TABLE oxbatch_backfill (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule_id  INTEGER NOT NULL REFERENCES oxbatch_schedule (id) ON DELETE CASCADE,
    first_day    TEXT    NOT NULL,
    last_day     TEXT    NOT NULL,
    which        TEXT    NOT NULL CHECK (which IN ('missing', 'failed', 'all')),
    max_running  INTEGER NOT NULL CHECK (max_running > 0),
    newest_first INTEGER NOT NULL CHECK (newest_first IN (0, 1)),
    status       TEXT    NOT NULL CHECK (status IN ('RUNNING', 'ENDED', 'CANCELLED')),
    create_time  INTEGER NOT NULL,
    end_time     INTEGER,
    CHECK ((status = 'RUNNING') = (end_time IS NULL))
) STRICT;

CREATE INDEX oxbatch_backfill_running ON oxbatch_backfill (id) WHERE status = 'RUNNING';
