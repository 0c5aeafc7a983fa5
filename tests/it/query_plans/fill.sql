-- Rows for the tables that demo data leaves empty or small. All of them are of the last days before the tests begin, so
-- that few are due for a purge: where most of a table is to go, reading all of it is right.
CREATE FUNCTION id_at(moment timestamptz, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
    || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid
$$;
CREATE FUNCTION moment(number bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
  SELECT timestamptz '2025-12-30 00:00:00Z' + number * interval '12 seconds'
$$;

CREATE TEMP TABLE numbers AS SELECT number FROM generate_series(1, 20000) AS number;
CREATE TEMP TABLE owners AS SELECT id, phone, row_number() OVER (ORDER BY id) AS number FROM users;

INSERT INTO sessions (id, user_id, user_agent, ip_address, generation, refresh_hashes, forks, second_factor_verified,
    created_at, last_used_at, ended_at)
  SELECT id_at(moment(numbers.number), numbers.number), owners.id, 'test', '192.0.2.1', 0, '', '', false,
    moment(numbers.number), moment(numbers.number), CASE WHEN numbers.number % 3 = 0 THEN moment(numbers.number) END
  FROM numbers JOIN owners ON owners.number = 1 + numbers.number % (SELECT count(*) FROM owners);
INSERT INTO challenges (id, user_id, purpose, identifier_hash, send_count, send_pending, created_at, expires_at, resend_at,
    consumed_at)
  SELECT id_at(moment(numbers.number), numbers.number), owners.id, 'VERIFY_PHONE', decode(md5(numbers.number::text), 'hex'),
    1, false, moment(numbers.number), timestamptz '2026-01-10 00:00:00Z', moment(numbers.number), moment(numbers.number)
  FROM numbers JOIN owners ON owners.number = 1 + numbers.number % (SELECT count(*) FROM owners);
INSERT INTO account_audit (id, user_id, action, done_at)
  SELECT id_at(moment(numbers.number), numbers.number), owners.id, 'RECOVERED', moment(numbers.number)
  FROM numbers JOIN owners ON owners.number = 1 + numbers.number % (SELECT count(*) FROM owners);
INSERT INTO audit_entries (id, done_at, actor, action, target)
  SELECT id_at(moment(number), number), moment(number), 'operator', 'CAMPAIGN_ENDED', 'cmp_' || number FROM numbers;

INSERT INTO phone_lookups (phone, is_valid, line_type, country_code, country_prefix, international, national, rfc3966,
    source, checked_at)
  SELECT '+3161' || lpad(number::text, 7, '0'), true, 'MOBILE', 'NL', 31, '', '', '', 'offline', moment(number)
  FROM numbers;
INSERT INTO contacts (id, owner_id, name, sort_key, phone, phone_key, created_at)
  SELECT id_at(moment(numbers.number), numbers.number), owners.id, 'Contact ' || numbers.number,
    'contact ' || numbers.number, '+3161' || lpad(numbers.number::text, 7, '0'),
    '+3161' || lpad(numbers.number::text, 7, '0'), moment(numbers.number)
  FROM numbers JOIN owners ON owners.number = 1 + numbers.number % (SELECT count(*) FROM owners);
INSERT INTO avatars (user_id, version, picture, updated_at)
  SELECT id, 1, md5(number::text), moment(number) FROM owners;
INSERT INTO avatar_discards (picture, user_id, discarded_at)
  SELECT md5('discarded ' || numbers.number), owners.id, timestamptz '2026-01-02 00:00:00Z'
  FROM numbers JOIN owners ON owners.number = 1 + numbers.number % (SELECT count(*) FROM owners);

INSERT INTO bonuses (number_hash, campaign_id, id, is_credited)
  SELECT sha256(numbers.number::text::bytea), campaigns.id, id_at(moment(numbers.number), numbers.number), false
  FROM numbers CROSS JOIN (SELECT id FROM campaigns ORDER BY id LIMIT 1) AS campaigns;
INSERT INTO bonus_imports (id, campaign_id, file_name, source, status, content_hash, bytes_total, bytes_processed,
    next_line, lines, credited, pending, duplicates, invalid, created_at, started_at, finished_at)
  SELECT id_at(moment(numbers.number), numbers.number), campaigns.id, 'numbers.csv', 'UPLOAD', 'COMPLETED',
    sha256(numbers.number::text::bytea), 1, 1, 1, 1, 0, 1, 0, 0, moment(numbers.number), moment(numbers.number),
    moment(numbers.number)
  FROM numbers CROSS JOIN (SELECT id FROM campaigns ORDER BY id LIMIT 1) AS campaigns;
INSERT INTO bonus_rejected_lines (import_id, line, masked_value, reason)
  SELECT id, 1, '•••', 'TOO_SHORT' FROM bonus_imports;
INSERT INTO leads (id, network, lead_id, form, state, campaign_id, number_hash, received_at, attempts)
  SELECT id_at(moment(numbers.number), numbers.number), 'META', numbers.number::text, 'form', 'PENDING', campaigns.id,
    sha256(numbers.number::text::bytea), moment(numbers.number), 0
  FROM numbers CROSS JOIN (SELECT id FROM campaigns ORDER BY id LIMIT 1) AS campaigns;

INSERT INTO connections (id, secret_hash, provider, scheme, sealed_credentials, credentials_version, credentials_set_at,
    status, calls, created_at)
  SELECT md5('connection ' || number)::uuid, sha256(number::text::bytea), 'stripe', 'API_KEY', '', 0, moment(number),
    'ACTIVE', 0, moment(number)
  FROM numbers;
INSERT INTO connection_calls (id, connection_id, called_at, method, path, status, duration_ms, attempts)
  SELECT id_at(moment(number), number),
    md5('connection ' || number % 2000)::uuid, moment(number), 'GET', '/', 200,
    10, 1
  FROM numbers;
INSERT INTO mappings (id, mapping, created_at, last_used_at)
  SELECT md5('mapping ' || number)::uuid, '{"a": "b"}', moment(number), timestamptz '2026-01-01 00:00:00Z' FROM numbers;
INSERT INTO rate_limits (key, attempts, window_ends_at)
  SELECT 'key ' || number, 1, timestamptz '2026-02-01 00:00:00Z' FROM numbers;

INSERT INTO messages (id, kind, phone, body, encoding, segments, status, attempts, manual_retries, gateway, created_at,
    queued_at, expires_at, attempted_at, sent_at)
  SELECT id_at(moment(number), number), 1, '+3162' || lpad(number::text, 7, '0'), 'text', 'GSM_7', 1, 'SENT', 1, 0, 'console',
    moment(number), moment(number), moment(number), moment(number), moment(number)
  FROM numbers;
INSERT INTO message_transitions (id, kind, to_status, count, occurred_at)
  VALUES (id_at(moment(1), 1), 1, 'SENT', 20000, moment(1));
