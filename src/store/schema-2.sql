-- Batches that were refused because other bytes had their number: how often, and when last.
CREATE TABLE fork (
    site    TEXT NOT NULL,
    agent   TEXT NOT NULL,
    times   INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (site, agent)
) STRICT, WITHOUT ROWID;
