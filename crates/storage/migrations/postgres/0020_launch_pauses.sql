-- Pauses of launches: what is launched waits. The row without a name is for all jobs. Times are microseconds since 1970,
-- UTC, in both databases.
CREATE TABLE oxbatch_launch_pause (
    job_name text   NOT NULL PRIMARY KEY,
    reason   text   NOT NULL,
    since    bigint NOT NULL
);
