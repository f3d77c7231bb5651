-- Which list of the collector's certificates an agent said it has.
ALTER TABLE agent ADD COLUMN pins INTEGER NOT NULL DEFAULT 0;
