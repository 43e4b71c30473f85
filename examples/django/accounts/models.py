"""People and schools. Deliberately nothing about live updates: the relay needs no line in a model."""

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.utils import timezone


class PeopleManager(BaseUserManager["CustomUser"]):
    """Makes users, who are known by their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "CustomUser":
        """One user."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "CustomUser":
        """One who may do everything; ``manage.py createsuperuser`` asks for it."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class CustomUser(AbstractBaseUser, PermissionsMixin):
    """Somebody who can sign in: student, teacher, owner of a school, administrator."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150)
    phone_number = models.CharField(max_length=20, blank=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = PeopleManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        verbose_name = "user"

    def __str__(self) -> str:
        return self.email


class School(models.Model):
    """A school that sells lessons."""

    name = models.CharField(max_length=150)

    def __str__(self) -> str:
        return self.name


class SchoolMembership(models.Model):
    """What somebody is at a school. Payments carry no school: a payment belongs to the schools of its student."""

    class Role(models.TextChoices):
        SCHOOL_OWNER = "school_owner"
        SCHOOL_ADMIN = "school_admin"
        TEACHER = "teacher"
        SCHOOL_STAFF = "school_staff"
        STUDENT = "student"
        PARENT = "parent"

    user = models.ForeignKey(CustomUser, on_delete=models.CASCADE, related_name="memberships")
    school = models.ForeignKey(School, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "school", "role"], name="one_membership_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.role} of {self.school}"
