-- Access: tokens, and the sessions and one-time codes that stand for them. Of each the hash of its text is kept alone.
-- Times are microseconds since 1970, UTC, in both databases.

-- Never removed: a store that has had a token serves nobody without one.
CREATE TABLE oxbatch_token (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    hash          TEXT    NOT NULL UNIQUE CHECK (length(hash) = 64),
    name          TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    sees_data     INTEGER NOT NULL CHECK (sees_data IN (0, 1)),
    create_time   INTEGER NOT NULL,
    expire_time   INTEGER,
    revoke_time   INTEGER,
    last_use_time INTEGER
) STRICT;

CREATE TABLE oxbatch_login_code (
    hash        TEXT    NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    token_id    INTEGER NOT NULL REFERENCES oxbatch_token (id) ON DELETE CASCADE,
    expire_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oxbatch_login_code_of_token ON oxbatch_login_code (token_id);

CREATE INDEX oxbatch_login_code_end ON oxbatch_login_code (expire_time);

CREATE TABLE oxbatch_session (
    hash        TEXT    NOT NULL PRIMARY KEY CHECK (length(hash) = 64),
    token_id    INTEGER NOT NULL REFERENCES oxbatch_token (id) ON DELETE CASCADE,
    create_time INTEGER NOT NULL,
    expire_time INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX oxbatch_session_of_token ON oxbatch_session (token_id);

CREATE INDEX oxbatch_session_end ON oxbatch_session (expire_time);
