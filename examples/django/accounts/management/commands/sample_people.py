"""``manage.py sample_people``: two schools and somebody of each kind, to sign in as."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand
from django.db import transaction

from accounts.models import CustomUser, School, SchoolMembership

Role = SchoolMembership.Role

#: e-mail, name, what more they are, their role at which school
PEOPLE = [
    ("admin@example.org", "Ada Admin", {"is_staff": True, "is_superuser": True}, None),
    ("owner@example.org", "Olga Owner", {}, (Role.SCHOOL_OWNER, "Riverside")),
    ("teacher@example.org", "Tom Teacher", {}, (Role.TEACHER, "Riverside")),
    ("student@example.org", "Sam Student", {}, (Role.STUDENT, "Riverside")),
    ("stranger@example.org", "Stella Stranger", {}, (Role.STUDENT, "Hilltop")),
]


class Command(BaseCommand):
    """For trying things out; never where real people are."""

    help = "Make two schools and five people to sign in as. May be repeated."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command line."""
        parser.add_argument("--password", default="payments", help="of all of them (default: payments)")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Make whoever is missing."""
        password = make_password(options["password"])
        for email, name, flags, place in PEOPLE:
            user, _ = CustomUser.objects.update_or_create(
                email=email, defaults={"name": name, "password": password, **flags}
            )
            if place is not None:
                role, school_name = place
                school, _ = School.objects.get_or_create(name=school_name)
                SchoolMembership.objects.get_or_create(user=user, school=school, role=role)
            what = f"{place[0]} of {place[1]}" if place else "superuser"
            self.stdout.write(f"{email:<24} {what}")
        self.stdout.write(f"password of all: {options['password']}")
