INSERT INTO statistics (bucket, start, measure, dimension, amount)
SELECT
    value ->> 'bucket', value ->> 'start', value ->> 'measure', value ->> 'dimension', value ->> 'amount'
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (bucket, start, measure, dimension) DO UPDATE SET amount = statistics.amount + excluded.amount
