INSERT INTO bonuses (number_hash, campaign_id, id, is_credited)
SELECT decode(hash, 'hex'), $2, id, is_credited
FROM json_to_recordset($1::json) AS new (hash text, id uuid, is_credited boolean)
ON CONFLICT (number_hash, campaign_id) DO NOTHING
RETURNING id
