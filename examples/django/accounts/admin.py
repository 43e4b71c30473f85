"""The admin of people and schools."""

from django.contrib import admin
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.models import CustomUser, School, SchoolMembership


class MembershipInline(admin.TabularInline):
    """Memberships on the page of their user."""

    model = SchoolMembership
    extra = 0


@admin.register(CustomUser)
class CustomUserAdmin(admin.ModelAdmin):
    """Users. Passwords are set with manage.py changepassword."""

    list_display = ["email", "name", "is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "name"]
    exclude = ["password", "last_login", "groups", "user_permissions"]
    inlines = [MembershipInline]
    actions = ["end_live_access"]

    @admin.action(description="End live access to payments now")
    def end_live_access(self, request: HttpRequest, users: QuerySet[CustomUser]) -> None:
        """Close their connections to the relay; tokens issued until now are refused from now on.

        Somebody who is still allowed to get a token gets a new one, so take away the membership first.
        """
        with connection.cursor() as cursor:
            for user in users:
                cursor.execute(
                    "SELECT relay.revoke(%s, %s)", [str(user.pk), f"ended in the admin by {request.user}"]
                )


@admin.register(School)
class SchoolAdmin(admin.ModelAdmin):
    """Schools."""

    list_display = ["name"]
