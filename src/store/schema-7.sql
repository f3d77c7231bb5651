-- Slots that were leased for tests, each for one. They are kept when they are over, to answer for.
CREATE TABLE slot (
    site  TEXT NOT NULL,
    agent TEXT NOT NULL,
    at    INTEGER NOT NULL,
    until INTEGER NOT NULL,
    task  TEXT NOT NULL,
    lanes TEXT NOT NULL,
    token TEXT NOT NULL,
    PRIMARY KEY (site, agent, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX slot_until ON slot (until);
