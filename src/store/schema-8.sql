-- Whether an agent's batches are taken. Those of older programs were let in when they enrolled.
ALTER TABLE agent ADD COLUMN standing TEXT NOT NULL DEFAULT 'approved'
    CHECK (standing IN ('pending', 'approved', 'quarantined', 'revoked'));

-- The last epoch under which an agent may add nothing any more: its numbers had come twice, and an operator let
-- it go on under a later one.
ALTER TABLE agent ADD COLUMN closed_epoch INTEGER NOT NULL DEFAULT -1;

-- Whether the ticket lets its agent in at once, without an operator who compares fingerprints.
ALTER TABLE ticket ADD COLUMN approves INTEGER NOT NULL DEFAULT 0;

-- Where agents were before they were moved: what they measured there may still arrive.
CREATE TABLE former_site (
    site    TEXT NOT NULL,
    agent   TEXT NOT NULL,
    left_at INTEGER NOT NULL,
    PRIMARY KEY (site, agent)
) STRICT, WITHOUT ROWID;
