-- What is left of what was taken before batches were kept as they came has no evidence: the rest was moved
-- into the tail, each batch made of its parts.
DROP TABLE chunk;
