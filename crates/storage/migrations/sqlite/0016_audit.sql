-- The audit log: every change, who asked for it, and what came of it. Times are microseconds since 1970, UTC, in both
-- databases. It refers to no other table: it outlives what it speaks of.

CREATE TABLE oxbatch_audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    time     INTEGER NOT NULL,
    token_id INTEGER,
    who      TEXT    NOT NULL,
    address  TEXT,
    action   TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    -- NULL while it is not known, and for ever where the process has died with it.
    outcome  TEXT
) STRICT;

CREATE INDEX oxbatch_audit_time ON oxbatch_audit (time);
