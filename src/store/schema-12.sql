-- What is offered to agents to run: one release for each machine that programs are built for.
CREATE TABLE offer (
    target     TEXT NOT NULL PRIMARY KEY,
    -- As it was signed.
    release    TEXT NOT NULL,
    -- Percent of the agents that may have it.
    stage      INTEGER NOT NULL,
    -- Only these sites, as a JSON list; all where it is NULL.
    sites      TEXT,
    offered_at INTEGER NOT NULL,
    -- Why it is given to nobody any more.
    halted     TEXT
) STRICT, WITHOUT ROWID;

-- What each agent said last of the program that it runs.
CREATE TABLE program (
    agent       TEXT NOT NULL PRIMARY KEY REFERENCES agent (id),
    reported_at INTEGER NOT NULL,
    report      TEXT NOT NULL,
    -- The release that it was given last, and when first.
    given       INTEGER,
    given_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX program_given ON program (given);
