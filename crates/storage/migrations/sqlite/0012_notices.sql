-- Notices: who is told, of what, and the log of deliveries. Times are microseconds since 1970, UTC, in both databases.

-- Those who are told: a copy of the settings, so that the transaction that ends an execution knows them.
CREATE TABLE oxbatch_notice_channel (
    name       TEXT    NOT NULL PRIMARY KEY,
    kinds      TEXT    NOT NULL,
    skips_over INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE oxbatch_notice (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    channel      TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('failed', 'late', 'missed', 'recovered', 'skips', 'test')),
    job_name     TEXT,
    execution_id INTEGER,
    schedule     TEXT,
    instant      INTEGER,
    message      TEXT    NOT NULL,
    create_time  INTEGER NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('PENDING', 'DELIVERED', 'UNDELIVERED')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER,
    CHECK ((state = 'PENDING') = (next_attempt IS NOT NULL))
) STRICT;

CREATE INDEX oxbatch_notice_pending ON oxbatch_notice (next_attempt) WHERE next_attempt IS NOT NULL;

CREATE INDEX oxbatch_notice_created ON oxbatch_notice (create_time);

CREATE TABLE oxbatch_notice_attempt (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    notice_id INTEGER NOT NULL REFERENCES oxbatch_notice (id) ON DELETE CASCADE,
    time      INTEGER NOT NULL,
    node      TEXT    NOT NULL,
    -- NULL for one that has succeeded.
    error     TEXT
) STRICT;

CREATE INDEX oxbatch_notice_attempt_of_notice ON oxbatch_notice_attempt (notice_id, id);
