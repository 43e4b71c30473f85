-- Sample people and a month of sample payments, for the demo.
--
-- What:   eighty students of three schools, three school owners, two administrators, and about 20,000 payments
--         of the last thirty days, with the webhooks of three of them, some disputes and fraud alerts, and a few
--         payments that are stuck.
-- Why:    a dashboard that opens on an empty table shows nothing worth looking at.
-- Locks:  none of consequence.
-- Again:  safe to run again; it does nothing once there are people. Always the same values (setseed), except that
--         times count back from now.

DO $seed$
BEGIN
IF EXISTS (SELECT FROM accounts_customuser) THEN
    RETURN;
END IF;
PERFORM setseed(0.42);

INSERT INTO accounts_customuser
       (email, name, phone_number, password, is_active, is_staff, is_superuser, date_joined)
SELECT lower(first || '.' || last) || '@example.org',
       first || ' ' || last, '', '!', true, false, false, now() - random() * interval '2 years'
  FROM generate_series(0, 79) AS n,
       LATERAL (SELECT (ARRAY['Ana', 'Bruno', 'Carla', 'Diogo', 'Eva', 'Filipe', 'Greta', 'Hugo', 'Ines', 'Joao'])[1 + n % 10],
                       (ARRAY['Silva', 'Costa', 'Matos', 'Lopes', 'Rocha', 'Dias', 'Nunes', 'Pinto'])[1 + n / 10]) AS who (first, last);

INSERT INTO accounts_customuser
       (email, name, phone_number, password, is_active, is_staff, is_superuser, date_joined)
SELECT name || '@example.org', initcap(replace(name, '.', ' ')), '', '!', true, admin, admin, now() - interval '2 years'
  FROM (VALUES ('admin.one', true), ('admin.two', true),
               ('owner.north', false), ('owner.south', false), ('owner.west', false)) AS staff (name, admin);

INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)
SELECT id, 1 + id % 3, 'student', random() < 0.95, date_joined
  FROM accounts_customuser WHERE NOT is_staff AND email NOT LIKE 'owner.%';
-- One student in eight learns at two schools.
INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)
SELECT id, 1 + (id + 1) % 3, 'student', true, date_joined
  FROM accounts_customuser WHERE NOT is_staff AND email NOT LIKE 'owner.%' AND id % 8 = 0;
INSERT INTO accounts_schoolmembership (user_id, school_id, role, is_active, joined_at)
SELECT id, row_number() OVER (ORDER BY id), 'school_owner', true, date_joined
  FROM accounts_customuser WHERE email LIKE 'owner.%';

-- More by day than by night, and none of the last minutes: those are for the traffic.
INSERT INTO finances_purchasetransaction
       (student_id, transaction_type, amount, payment_status, stripe_payment_intent_id, stripe_customer_id,
        metadata, created_at, updated_at)
SELECT student, CASE WHEN plan < 4 THEN 'package' ELSE 'subscription' END,
       (ARRAY[49.00, 89.00, 165.00, 29.90, 59.90])[plan],
       CASE WHEN dice < 0.87 THEN 'completed' WHEN dice < 0.95 THEN 'failed'
            WHEN dice < 0.98 THEN 'refunded' ELSE 'cancelled' END,
       'pi_' || md5('intent' || n), 'cus_' || left(md5('customer' || student), 14),
       jsonb_build_object('plan_name', (ARRAY['5 hours', '10 hours', '20 hours', 'Basic', 'Plus'])[plan])
       || CASE WHEN dice BETWEEN 0.87 AND 0.95 THEN jsonb_build_object('error_message',
              (ARRAY['Your card was declined.', 'Your card has insufficient funds.', 'Your card has expired.'])[1 + n % 3])
          ELSE '{}' END,
       moment, moment + interval '40 seconds'
  FROM (SELECT n, ids[1 + (n * 7919) % cardinality(ids)] AS student, 1 + floor(random() * 5)::int AS plan,
               random() AS dice,
               date_trunc('day', now()) - floor(random() * 31) * interval '1 day' + random() * interval '1 hour'
               + (ARRAY[0, 1, 3, 5, 6, 7, 7, 8, 8, 9, 9, 10, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15, 15, 16, 16,
                        16, 17, 17, 17, 18, 18, 18, 19, 19, 19, 20, 20, 21, 21, 22, 23])[1 + floor(random() * 43)::int]
               * interval '1 hour' AS moment
          FROM generate_series(1, 20000) AS n,
               (SELECT array_agg(user_id ORDER BY id) AS ids FROM accounts_schoolmembership
                 WHERE role = 'student' AND is_active) AS students) AS sample
 WHERE moment BETWEEN now() - interval '30 days' AND now() - interval '12 minutes'
 ORDER BY moment;

-- Some that hang: nothing was ever heard of them.
UPDATE finances_purchasetransaction
   SET payment_status = (ARRAY['processing', 'pending'])[1 + id / 10 % 2], metadata = metadata - 'error_message',
       updated_at = created_at
 WHERE id IN (SELECT id FROM finances_purchasetransaction
               WHERE created_at < now() - interval '80 minutes' ORDER BY created_at DESC LIMIT 40)
   AND id % 10 = 3;

-- Stripe's events of the last three days; one in ninety could not be processed.
INSERT INTO finances_webhookeventlog
       (stripe_event_id, event_type, status, payload, processed_at, error_message, retry_count, created_at, updated_at)
SELECT 'evt_' || md5('event' || id),
       CASE payment_status WHEN 'failed' THEN 'payment_intent.payment_failed' WHEN 'refunded' THEN 'charge.refunded'
                           WHEN 'cancelled' THEN 'payment_intent.canceled' ELSE 'payment_intent.succeeded' END,
       CASE WHEN id % 90 = 0 THEN 'failed' ELSE 'processed' END,
       jsonb_build_object('data', jsonb_build_object('object', jsonb_build_object('id', stripe_payment_intent_id))),
       updated_at + took, CASE WHEN id % 90 = 0 THEN 'balance row is locked' ELSE '' END,
       CASE WHEN id % 90 = 0 THEN 5 ELSE 0 END, updated_at, updated_at + took
  FROM finances_purchasetransaction, LATERAL (SELECT (90 + id % 260) * interval '1 ms' AS took) AS t
 WHERE payment_status NOT IN ('pending', 'processing') AND created_at > now() - interval '3 days' ORDER BY id;

-- A dispute for one payment in 700. Those that wait for an answer are due between yesterday and in two weeks.
INSERT INTO finances_paymentdispute
       (stripe_dispute_id, purchase_transaction_id, amount, currency, reason, status, evidence_details,
        evidence_due_by, is_responded, internal_notes, stripe_metadata, created_at, updated_at)
SELECT 'dp_' || left(md5('dispute' || id), 20), id, amount, 'eur',
       (ARRAY['fraudulent', 'product_not_received', 'duplicate', 'unrecognized', 'subscription_canceled'])[1 + n % 5],
       (ARRAY['needs_response', 'won', 'under_review', 'needs_response', 'lost', 'won'])[1 + n % 6], '{}',
       now() + n / 3 * interval '31 hours' - interval '51 hours', n % 6 NOT IN (0, 3), '', '{}',
       updated_at + interval '1 day', updated_at + interval '2 days'
  FROM (SELECT *, row_number() OVER (ORDER BY id)::int AS n FROM finances_purchasetransaction
         WHERE payment_status = 'completed' AND id % 700 = 0 AND updated_at < now() - interval '2 days') AS disputed;

-- An alert for one failed payment in forty; of the latest some are still open.
WITH alert AS (
    INSERT INTO finances_fraudalert
           (alert_id, severity, status, alert_type, description, target_user_id, detection_data, risk_score,
            resolution_notes, actions_taken, created_at, updated_at)
    SELECT 'FA-' || to_char(updated_at, 'YYYY') || '-' || upper(left(md5('alert' || id), 8)),
           (ARRAY['medium', 'high', 'low', 'critical', 'medium'])[kind],
           CASE WHEN n > 7 THEN (ARRAY['resolved', 'false_positive'])[1 + n % 2]
                ELSE (ARRAY['active', 'active', 'investigating'])[1 + n % 3] END,
           (ARRAY['multiple_failed_attempts', 'rapid_fire_transactions', 'unusual_spending_pattern',
                  'multiple_payment_methods', 'new_user_high_value'])[kind],
           (ARRAY['Several failed payments within six hours', 'Many payments within half an hour',
                  'Far from what this customer usually spends', 'Five cards within a day',
                  'A high value on a new account'])[kind],
           student_id, jsonb_build_object('transaction', id), (ARRAY[34, 61, 27, 88, 46])[kind] + id % 9, '', '[]',
           updated_at + interval '1 minute', updated_at + interval '1 minute'
      FROM (SELECT *, row_number() OVER (ORDER BY id DESC)::int AS n, (1 + id % 5)::int AS kind
              FROM finances_purchasetransaction WHERE payment_status = 'failed' AND id % 8 = 1
             ORDER BY id DESC LIMIT 40) AS suspect
    RETURNING id, (detection_data ->> 'transaction')::bigint AS transaction_id
)
INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id)
SELECT id, transaction_id FROM alert;
END
$seed$;
