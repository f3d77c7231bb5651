-- The evidence: the header of each batch with its signature, for ever, and its chunks as they came. What
-- was taken in an older form has none.
ALTER TABLE batch ADD COLUMN previous BLOB;
ALTER TABLE batch ADD COLUMN header TEXT;
ALTER TABLE batch ADD COLUMN signature BLOB;

-- A chunk without content was pruned: its digest still verifies the others.
CREATE TABLE chunk (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    position INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    content  TEXT,
    PRIMARY KEY (site, agent, epoch, sequence, position)
) STRICT, WITHOUT ROWID;
