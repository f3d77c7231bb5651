-- What each agent was told to measure last, as it was signed.
CREATE TABLE schedule (
    site     TEXT NOT NULL,
    agent    TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (site, agent)
) STRICT, WITHOUT ROWID;
