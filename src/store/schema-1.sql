-- What the collector keeps. Every table that grows has the site first in its key, so that the same
-- schema can be distributed by site. Times are milliseconds since 1970-01-01T00:00:00Z.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Only the hash of a ticket's secret is kept. The agent that used it may ask again.
CREATE TABLE ticket (
    secret_hash BLOB PRIMARY KEY,
    site        TEXT NOT NULL,
    made_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER,
    used_by     TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    id          TEXT PRIMARY KEY,
    site        TEXT NOT NULL,
    public_key  BLOB NOT NULL,
    enrolled_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The ledger: which batch was taken, and what its bytes hashed to.
CREATE TABLE batch (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (site, agent, epoch, sequence)
) STRICT, WITHOUT ROWID;

-- What is measured over and over: one metric of one agent, from one interface, against one peer.
CREATE TABLE series (
    id        INTEGER PRIMARY KEY,
    site      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    metric    TEXT NOT NULL,
    peer      TEXT NOT NULL,
    interface TEXT NOT NULL,
    medium    TEXT NOT NULL,
    UNIQUE (site, agent, metric, peer, interface, medium)
) STRICT;

-- One observation: a value in the metric's unit, or the reason why there is none.
CREATE TABLE sample (
    site     TEXT NOT NULL,
    series   INTEGER NOT NULL REFERENCES series (id),
    at       INTEGER NOT NULL,
    agent    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    value    INTEGER,
    failure  TEXT,
    detail   TEXT,
    PRIMARY KEY (site, series, at, agent, epoch, sequence, position),
    CHECK ((value IS NULL) <> (failure IS NULL))
) STRICT, WITHOUT ROWID;
