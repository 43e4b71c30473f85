-- Sample people and a month of sample payments, for the demo.
--
-- What:   eighty students of three schools, three school owners, two administrators, and about 600 payments
--         of the last thirty days with their webhooks, a few disputes and fraud alerts.
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

INSERT INTO finances_purchasetransaction
       (student_id, transaction_type, amount, payment_status, stripe_payment_intent_id, stripe_customer_id,
        metadata, created_at, updated_at)
SELECT student, CASE WHEN plan < 4 THEN 'package' ELSE 'subscription' END,
       (ARRAY[49.00, 89.00, 165.00, 29.90, 59.90])[plan],
       CASE WHEN dice < 0.82 THEN 'completed' WHEN dice < 0.92 THEN 'failed'
            WHEN dice < 0.97 THEN 'refunded' ELSE 'cancelled' END,
       'pi_' || md5('intent' || n), 'cus_' || left(md5('customer' || student), 14),
       jsonb_build_object('plan_name', (ARRAY['5 hours', '10 hours', '20 hours', 'Basic', 'Plus'])[plan])
       || CASE WHEN dice BETWEEN 0.82 AND 0.92 THEN '{"error_message": "Your card was declined."}' ELSE '{}' END::jsonb,
       moment, moment + interval '40 seconds'
  FROM (SELECT n, s.student, 1 + floor(random() * 5)::int AS plan, random() AS dice,
               now() - interval '1 hour' - random() * interval '30 days' AS moment
          FROM generate_series(1, 600) AS n,
               LATERAL (SELECT array_agg(user_id ORDER BY id) AS ids FROM accounts_schoolmembership
                         WHERE role = 'student' AND is_active) AS students,
               LATERAL (SELECT ids[1 + (n * 7919) % cardinality(ids)] AS student) AS s) AS sample
 ORDER BY moment;

INSERT INTO finances_webhookeventlog
       (stripe_event_id, event_type, status, payload, processed_at, error_message, retry_count, created_at, updated_at)
SELECT 'evt_' || md5('event' || id),
       CASE payment_status WHEN 'failed' THEN 'payment_intent.payment_failed' WHEN 'refunded' THEN 'charge.refunded'
                           WHEN 'cancelled' THEN 'payment_intent.canceled' ELSE 'payment_intent.succeeded' END,
       CASE WHEN id % 37 = 0 THEN 'failed' ELSE 'processed' END,
       jsonb_build_object('data', jsonb_build_object('object', jsonb_build_object('id', stripe_payment_intent_id))),
       updated_at + interval '200 ms', CASE WHEN id % 37 = 0 THEN 'balance row is locked' ELSE '' END,
       CASE WHEN id % 37 = 0 THEN 5 ELSE 0 END, updated_at, updated_at + interval '200 ms'
  FROM finances_purchasetransaction ORDER BY id;

INSERT INTO finances_paymentdispute
       (stripe_dispute_id, purchase_transaction_id, amount, currency, reason, status, evidence_details,
        evidence_due_by, is_responded, internal_notes, stripe_metadata, created_at, updated_at)
SELECT 'dp_' || left(md5('dispute' || id), 20), id, amount, 'eur',
       (ARRAY['fraudulent', 'product_not_received', 'duplicate', 'unrecognized'])[1 + id % 4],
       (ARRAY['needs_response', 'under_review', 'won', 'lost'])[1 + id / 40 % 4], '{}',
       updated_at + interval '14 days', id / 40 % 4 > 0, '', '{}', updated_at + interval '2 days', updated_at + interval '3 days'
  FROM finances_purchasetransaction
 WHERE payment_status = 'completed' AND id % 40 = 0 AND updated_at < now() - interval '3 days';

WITH alert AS (
    INSERT INTO finances_fraudalert
           (alert_id, severity, status, alert_type, description, target_user_id, detection_data, risk_score,
            resolution_notes, actions_taken, created_at, updated_at)
    SELECT 'FA-' || to_char(created_at, 'YYYY') || '-' || upper(left(md5('alert' || id), 8)), 'medium',
           (ARRAY['active', 'investigating', 'resolved', 'false_positive'])[1 + id / 50 % 4],
           'multiple_failed_attempts', 'Several failed payments within six hours', student_id,
           jsonb_build_object('transaction', id), 30 + id % 40, '', '[]', updated_at, updated_at
      FROM finances_purchasetransaction WHERE id % 50 = 1
    RETURNING id, (detection_data ->> 'transaction')::bigint AS transaction_id
)
INSERT INTO finances_fraudalert_related_transactions (fraudalert_id, purchasetransaction_id)
SELECT id, transaction_id FROM alert;
END
$seed$;
