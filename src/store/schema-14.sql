-- A ticket may be for a laptop that hands in audits: what is measured on visits is kept apart from what is measured
-- by the boxes that stay.
ALTER TABLE ticket ADD COLUMN visits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE agent ADD COLUMN visits INTEGER NOT NULL DEFAULT 0;
