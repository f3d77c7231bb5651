-- The hash of the batch that was refused last: that it comes once more is no new alarm.
ALTER TABLE fork ADD COLUMN refused BLOB;
