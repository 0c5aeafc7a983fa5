INSERT INTO statistic_deltas (id, measure, dimension, hour, amount)
SELECT id, measure, dimension, hour, amount
FROM json_to_recordset($1::json) AS new (
    id uuid, measure text, dimension text, hour timestamptz, amount bigint
)
