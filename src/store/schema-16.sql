-- Every table that grows has the site first in its key: documents of the tail are found as its rows are, and series
-- by what they are. Their numbers, which blocks name them by, stay.
CREATE TABLE document_15 (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    epoch    INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    packed   BLOB NOT NULL,
    PRIMARY KEY (site, agent, epoch, sequence)
) STRICT, WITHOUT ROWID;

INSERT INTO document_15 SELECT site, agent, epoch, sequence, packed
FROM tail JOIN document ON document.id = tail.document;
ALTER TABLE tail DROP COLUMN document;
DROP TABLE document;
ALTER TABLE document_15 RENAME TO document;

CREATE TABLE series_15 (
    id        INTEGER NOT NULL UNIQUE,
    site      TEXT NOT NULL,
    agent     TEXT NOT NULL,
    metric    TEXT NOT NULL,
    peer      TEXT NOT NULL,
    interface TEXT NOT NULL,
    medium    TEXT NOT NULL,
    PRIMARY KEY (site, agent, metric, peer, interface, medium)
) STRICT, WITHOUT ROWID;

INSERT INTO series_15 SELECT id, site, agent, metric, peer, interface, medium FROM series;
DROP TABLE series;
ALTER TABLE series_15 RENAME TO series;
