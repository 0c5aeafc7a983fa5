-- Switchboard's statements for starting and playing a round, with made-up values. :counter counts up.
-- Played rounds are marked as counted, so that the leaderboards' job ignores them.
\set counter :counter + 1
\set round :counter * 100 + :client_id
\set person random(1, 64)
\set slot random(1, 32767)
\set won random(0, 1)

INSERT INTO rounds (id, user_id, game, status, slot, seed_hash, sealed_seed, seed, client_seed, move, outcome, won,
    points, is_counted, started_at, expires_at, played_at)
  VALUES (lpad(:round::text, 32, '0')::uuid,
    ('01900000-0000-7000-8000-' || lpad(to_hex(:person::int), 12, '0'))::uuid,
    'COIN_FLIP', 'OPEN', :slot, decode(repeat('ab', 32), 'hex'), decode(repeat('cd', 67), 'hex'), NULL, NULL, NULL,
    NULL, NULL, NULL, TRUE, now(), now() + interval '5 minutes', NULL)
  ON CONFLICT (user_id, slot) WHERE slot IS NOT NULL DO NOTHING;

SELECT id, user_id, game, status, slot, seed_hash, sealed_seed, seed, client_seed, move, outcome, won, points,
    is_counted, started_at, expires_at, played_at
  FROM rounds
  WHERE user_id = ('01900000-0000-7000-8000-' || lpad(to_hex(:person::int), 12, '0'))::uuid
    AND id = lpad(:round::text, 32, '0')::uuid
  LIMIT 1;

\if :won = 1
BEGIN;
\endif
UPDATE rounds
  SET status = 'PLAYED', slot = NULL, sealed_seed = NULL, seed = decode(repeat('ef', 32), 'hex'),
    client_seed = 'bench', move = '{"coinFlip":"HEADS"}', outcome = 0, won = :won::int = 1, points = 20 * :won::int,
    is_counted = TRUE, played_at = now()
  WHERE id = lpad(:round::text, 32, '0')::uuid
    AND user_id = ('01900000-0000-7000-8000-' || lpad(to_hex(:person::int), 12, '0'))::uuid
    AND status = 'OPEN' AND expires_at > now();
\if :won = 1
INSERT INTO wallets (user_id, balance, entry_count, updated_at)
  VALUES (('01900000-0000-7000-8000-' || lpad(to_hex(:person::int), 12, '0'))::uuid, 1, 1, now())
  ON CONFLICT (user_id) DO UPDATE SET balance = wallets.balance + 1, entry_count = wallets.entry_count + 1,
    updated_at = excluded.updated_at
    WHERE wallets.balance <= 9007199254740990
  RETURNING user_id, balance, entry_count, updated_at \gset
INSERT INTO coin_entries (user_id, number, id, amount, balance_after, reason, reference, note, created_at)
  VALUES (('01900000-0000-7000-8000-' || lpad(to_hex(:person::int), 12, '0'))::uuid, :entry_count, lpad(:round::text, 32, '0')::uuid, 1, :balance, 'GAME_REWARD',
    'rnd_' || lpad(:round::text, 26, '0'), NULL, now());
COMMIT;
\endif
