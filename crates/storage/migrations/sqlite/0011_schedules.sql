-- Schedules, their fires, deadlines and pauses. Times are microseconds since 1970, UTC, in both databases.

CREATE TABLE oxbatch_schedule (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT    NOT NULL UNIQUE CHECK (name <> ''),
    job_name       TEXT    NOT NULL CHECK (job_name <> ''),
    definition     TEXT    NOT NULL,
    origin         TEXT    NOT NULL CHECK (origin IN ('CODE', 'ADDED')),
    create_time    INTEGER NOT NULL,
    -- The past is recorded up to here, and the first fire after it; NULL for a schedule of files.
    settled        INTEGER NOT NULL,
    next_fire      INTEGER CHECK (next_fire > settled),
    of_files       INTEGER NOT NULL CHECK (of_files IN (0, 1)),
    revision       INTEGER NOT NULL DEFAULT 0,
    -- The instance that it has launched last.
    last_instance  INTEGER,
    removed        INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),
    CHECK (removed = 0 OR next_fire IS NULL)
) STRICT;

CREATE INDEX oxbatch_schedule_due ON oxbatch_schedule (next_fire) WHERE next_fire IS NOT NULL;
CREATE INDEX oxbatch_schedule_of_files ON oxbatch_schedule (id) WHERE of_files AND NOT removed;

CREATE TABLE oxbatch_fire (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule_id     INTEGER NOT NULL REFERENCES oxbatch_schedule (id) ON DELETE CASCADE,
    instant         INTEGER NOT NULL,
    -- Path and size of a file; empty for a calendar.
    file            TEXT    NOT NULL,
    outcome         TEXT    NOT NULL CHECK (outcome IN ('WAITING', 'PLANNED', 'LAUNCHED', 'ALREADY_COMPLETE',
        'ALREADY_RUNNING', 'ALREADY_FAILED', 'SKIPPED', 'MISSED', 'REFUSED', 'CANCELLED')),
    message         TEXT,
    -- No references: a fire outlives what is purged.
    job_instance_id INTEGER,
    execution_id    INTEGER,
    backfill_id     INTEGER,
    record_time     INTEGER NOT NULL,
    -- The identity of a fire: of all that record it, one does.
    UNIQUE (schedule_id, instant, file),
    CHECK (outcome <> 'LAUNCHED' OR execution_id IS NOT NULL),
    CHECK (outcome <> 'PLANNED' OR backfill_id IS NOT NULL)
) STRICT;

CREATE INDEX oxbatch_fire_of_schedule ON oxbatch_fire (schedule_id, id);
CREATE INDEX oxbatch_fire_recorded ON oxbatch_fire (record_time);
CREATE INDEX oxbatch_fire_waiting ON oxbatch_fire (schedule_id, instant) WHERE outcome = 'WAITING';
CREATE INDEX oxbatch_fire_of_backfill ON oxbatch_fire (backfill_id, outcome, instant) WHERE backfill_id IS NOT NULL;

CREATE TABLE oxbatch_deadline (
    fire_id INTEGER NOT NULL REFERENCES oxbatch_fire (id) ON DELETE CASCADE,
    kind    TEXT    NOT NULL CHECK (kind IN ('STARTED', 'FINISHED')),
    at      INTEGER NOT NULL,
    PRIMARY KEY (fire_id, kind)
) STRICT, WITHOUT ROWID;

CREATE INDEX oxbatch_deadline_at ON oxbatch_deadline (at);

CREATE TABLE oxbatch_pause (
    scope  TEXT    NOT NULL CHECK (scope IN ('SCHEDULE', 'JOB', 'ALL')),
    name   TEXT    NOT NULL,
    reason TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    PRIMARY KEY (scope, name),
    CHECK ((scope = 'ALL') = (name = ''))
) STRICT, WITHOUT ROWID;
