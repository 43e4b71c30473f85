"""The tables that relay.toml streams, and the columns of each that the relay may see.

`relay install` prints these statements for a relay.toml. The list is the allow-list: a column that is not in it never
leaves its table. It is changed by a further migration with the whole new list.
"""

from django.db import migrations

from relay_schema.watching import watch

WATCHED = {
    "accounts_customuser": "id email name",
    "accounts_schoolmembership": "user_id school_id role is_active",
    "finances_purchasetransaction": "id student_id transaction_type amount payment_status stripe_payment_intent_id "
    "expires_at metadata created_at updated_at",
    "finances_webhookeventlog": "id stripe_event_id event_type status processed_at error_message retry_count "
    "created_at",
    "finances_paymentdispute": "id stripe_dispute_id purchase_transaction_id amount currency reason status "
    "evidence_due_by is_responded created_at updated_at",
    "finances_fraudalert": "id alert_id alert_type severity status risk_score description target_user_id "
    "assigned_to_id investigated_at detection_data created_at",
    "finances_fraudalert_related_transactions": "id fraudalert_id purchasetransaction_id",
}


class Migration(migrations.Migration):
    """Not atomic: watching a table waits for its writers and holds them up until it commits, so one at a time.

    If a table is busy for longer than two seconds the migration says so and can be run again: what is watched already
    is left as it is.
    """

    atomic = False
    dependencies = [
        ("relay_schema", "0001_install"),
        ("accounts", "0001_initial"),
        ("finances", "0001_initial"),
    ]
    operations = [watch(table, columns) for table, columns in WATCHED.items()]
