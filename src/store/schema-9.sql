-- Documents of the tail lie apart from its rows, so that these can be looked through without them.
CREATE TABLE document (
    id     INTEGER PRIMARY KEY,
    packed BLOB NOT NULL
) STRICT;

ALTER TABLE tail RENAME TO tail_4;

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
    document     INTEGER NOT NULL,
    PRIMARY KEY (site, agent, epoch, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO document (id, packed) SELECT rowid, document FROM tail_4;
INSERT INTO tail SELECT site, agent, epoch, sequence, hash, previous, received_at, first_at, last_at,
                        observations, longest, rowid FROM tail_4;
DROP TABLE tail_4;

-- Sealed batches of one agent that follow each other: their samples in one block for each series, and what
-- of the batches does not follow from the samples. A batch is in the tail or in a segment.
CREATE TABLE segment (
    site          TEXT NOT NULL,
    agent         TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    from_sequence INTEGER NOT NULL,
    to_sequence   INTEGER NOT NULL,
    -- The hash of the batch before the first, and that of the last.
    previous      BLOB,
    hash          BLOB NOT NULL,
    received_at   INTEGER NOT NULL,
    first_at      INTEGER,
    last_at       INTEGER,
    observations  INTEGER NOT NULL,
    longest       INTEGER NOT NULL,
    evidence      BLOB NOT NULL,
    samples       BLOB NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_sequence)
) STRICT, WITHOUT ROWID;
