-- Pauses of launches: what is launched waits. The row without a name is for all jobs. Times are microseconds since 1970,
-- UTC, in both databases.
CREATE TABLE oxbatch_launch_pause (
    job_name TEXT    NOT NULL PRIMARY KEY,
    reason   TEXT    NOT NULL,
    since    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
