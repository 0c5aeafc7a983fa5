INSERT INTO bonuses (number_hash, campaign_id, id, is_credited)
SELECT unhex(value ->> 'hash'), ?2, unhex(value ->> 'id'), value ->> 'is_credited'
FROM jsonb_each(?1)
WHERE true
ON CONFLICT (number_hash, campaign_id) DO NOTHING
RETURNING id
