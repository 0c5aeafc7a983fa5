INSERT INTO statistic_deltas (id, measure, dimension, hour, amount)
SELECT
    unhex(value ->> 'id'), value ->> 'measure', value ->> 'dimension', value ->> 'hour', value ->> 'amount'
FROM jsonb_each(?1)
