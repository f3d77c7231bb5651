-- Segments that the bulk of the samples was taken out of, and what stands for them. Their headers, and the samples
-- that stay, are in the segment as before.
CREATE TABLE pruned (
    site          TEXT NOT NULL,
    agent         TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    from_sequence INTEGER NOT NULL,
    -- By series and hour: how many samples had which value.
    rolled        BLOB NOT NULL,
    -- What was taken out, signed by the collector.
    tombstone     TEXT NOT NULL,
    PRIMARY KEY (site, agent, epoch, from_sequence)
) STRICT, WITHOUT ROWID;
