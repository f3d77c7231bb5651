-- The tail: batches as they came, packed with zstd, one row each, until they are sealed. What was taken
-- before is in the tables `batch`, `chunk` and `sample`, which nothing is added to any more.
CREATE TABLE tail (
    site         TEXT NOT NULL,
    agent        TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    sequence     INTEGER NOT NULL,
    hash         BLOB NOT NULL,
    previous     BLOB,
    received_at  INTEGER NOT NULL,
    -- When the oldest and the newest of its samples were measured; both are NULL where it has none.
    first_at     INTEGER,
    last_at      INTEGER,
    observations INTEGER NOT NULL,
    -- How many samples its longest series has.
    longest      INTEGER NOT NULL,
    document     BLOB NOT NULL,
    PRIMARY KEY (site, agent, epoch, sequence)
) STRICT;
