-- Numbers that came without a gap between them: what is missing lies between the runs of an epoch. The
-- times that were measured at are no later here than those that were received at.
CREATE TABLE run (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    last        INTEGER NOT NULL,
    -- When the oldest and the newest of its samples were measured; NULL where it has none.
    first_at    INTEGER,
    last_at     INTEGER,
    -- When the first and the last of its batches were received.
    began_at    INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (site, agent, epoch, first)
) STRICT, WITHOUT ROWID;

INSERT INTO run
SELECT site, agent, epoch, min(sequence), max(sequence), min(first_at), max(min(last_at, received_at)),
       min(received_at), max(received_at)
FROM (
    SELECT *, sequence - row_number() OVER (PARTITION BY site, agent, epoch ORDER BY sequence) AS island
    FROM (
        SELECT site, agent, epoch, sequence, first_at, last_at, received_at FROM tail
        UNION ALL
        SELECT site, agent, epoch, sequence, NULL, NULL, received_at FROM batch
    )
)
GROUP BY site, agent, epoch, island;

-- Batches with samples that were measured more than a day before they came. Behind is what is older than
-- what came before it, though no gap was left for it.
CREATE TABLE late (
    site        TEXT NOT NULL,
    agent       TEXT NOT NULL,
    epoch       INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    first_at    INTEGER NOT NULL,
    last_at     INTEGER NOT NULL,
    behind      INTEGER NOT NULL,
    PRIMARY KEY (site, agent, epoch, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO late
SELECT site, agent, epoch, sequence, received_at, first_at, last_at, 0 FROM tail
WHERE received_at - first_at > 86400000;

-- What the collector saw of a school's line when it asked last: NULL where it could not ask.
CREATE TABLE line_view (
    site     TEXT PRIMARY KEY,
    asked_at INTEGER NOT NULL,
    answers  INTEGER,
    why      TEXT
) STRICT, WITHOUT ROWID;
