"""Settings. What differs between machines comes from the environment, as environment.example shows."""

import os
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
DEBUG = os.environ.get("DJANGO_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "accounts",
    "finances",
    "monitoring",
]
# The relay's triggers are installed by `relay install`, or by migrations if you prefer that. One of both.
if os.environ.get("RELAY_BY_MIGRATION") == "1":
    INSTALLED_APPS.append("relay_schema")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "backend.urls"
ASGI_APPLICATION = "backend.asgi.application"
WSGI_APPLICATION = "backend.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# libpq takes apart what libpq is going to connect with; no library is needed for a URL.
_database = conninfo_to_dict(os.environ["DATABASE_URL"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{
            setting: _database.pop(key, "")
            for setting, key in [
                ("NAME", "dbname"),
                ("USER", "user"),
                ("PASSWORD", "password"),
                ("HOST", "host"),
                ("PORT", "port"),
            ]
        },
        "OPTIONS": _database,
    }
}

AUTH_USER_MODEL = "accounts.CustomUser"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "live"
STATIC_URL = "static/"
TIME_ZONE = "UTC"
USE_TZ = True

# Behind TLS cookies go over TLS only.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = os.environ.get("DJANGO_SECURE_COOKIES") == "1"

# The endpoint's signing secret, as Stripe shows it.
STRIPE_WEBHOOK_SECRET = os.environ["STRIPE_WEBHOOK_SECRET"]

# What the relay's [auth] demands of a token is said once more here; relay.toml has the same issuer and audience.
RELAY_SECRET = os.environ["RELAY_SECRET"]
RELAY_URL = os.environ.get("RELAY_URL", "ws://127.0.0.1:8765/ws/payment-monitoring/")
RELAY_ISSUER = "django-example"
RELAY_AUDIENCE = "payment-relay"

# Where relay_schema finds the numbered files: in this repository, or wherever you have copied them to.
RELAY_SQL_DIRECTORY = Path(os.environ.get("RELAY_SQL_DIRECTORY", BASE_DIR.parent.parent / "sql"))
