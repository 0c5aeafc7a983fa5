INSERT INTO statistics (bucket, start, measure, dimension, amount)
SELECT bucket, start, measure, dimension, amount
FROM json_to_recordset($1::json) AS new (
    bucket text, start timestamptz, measure text, dimension text, amount bigint
)
ON CONFLICT (bucket, start, measure, dimension) DO UPDATE SET amount = statistics.amount + excluded.amount
