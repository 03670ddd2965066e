"""Django settings, all taken from the environment.

Each variable may be given as ``NAME`` or as ``NAME_FILE`` (a path to a file that
holds the value). README.md has the table of every variable.
"""

from pathlib import Path
from typing import Any

import environ

from terra_hub.databases import database_settings
from terra_hub.logs import logging_settings
from terra_hub.look import unfold_settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[PUBLIC_URL])

# --- the hub's own settings -------------------------------------------------
# "key id:base64 of 32 bytes", comma-separated; the first one seals, all of them open.
CREDENTIAL_KEYS = env.list("CREDENTIAL_KEYS", default=[])
EGRESS_ALLOW = env.list("EGRESS_ALLOW", default=[])
TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", default=0)
MAX_BODY_BYTES = env.int("MAX_BODY_BYTES", default=64 * 1024 * 1024)
INLINE_BODY_BYTES = env.int("INLINE_BODY_BYTES", default=64 * 1024)
QUARANTINE_ROWS_PER_SOURCE = env.int("QUARANTINE_ROWS_PER_SOURCE", default=10_000)
QUARANTINE_BODY_BYTES = env.int("QUARANTINE_BODY_BYTES", default=64 * 1024)
COMMIT_TIMEOUT_SECONDS = env.float("COMMIT_TIMEOUT_SECONDS", default=10.0)
# Requests that are committed together at most; 1: a commit for each request, which benchmarks compare with.
GROUP_COMMIT_MAX = max(1, env.int("GROUP_COMMIT_MAX", default=256))
WORKER_LANES = env.int("WORKER_LANES", default=64)
CLAIM_LEASE_SECONDS = env.int("CLAIM_LEASE_SECONDS", default=60)
SHUTDOWN_GRACE_SECONDS = env.int("SHUTDOWN_GRACE_SECONDS", default=30)
PAYLOAD_DIR = env.str("PAYLOAD_DIR", default=str(BASE_DIR / ".run" / "payloads"))
# Multiplies every wait of every retry schedule; only tests set it below 1.
RETRY_TIME_SCALE = env.float("RETRY_TIME_SCALE", default=1.0)
# The API also takes user name and password, through django-axes; else the admin's session only.
API_BASIC_AUTH = env.bool("API_BASIC_AUTH", default=False)
# Shows the built-in echo page, for demonstrations; off in production.
DEMO_ECHO = env.bool("DEMO_ECHO", default=False)

# --- Django -----------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # its default would replace the hub's own admin site
    "unfold.contrib.filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "terra_hub.admin_app.HubAdminConfig",
    "axes",
    "csp",
    "simple_history",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "destinations",
    "webhooks",
    "terra_hub",
]
MIDDLEWARE = [
    "webhooks.views.ingest_first",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "terra_hub.urls"
WSGI_APPLICATION = "terra_hub.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
DATABASES = {
    "default": database_settings(
        env.str("DATABASE_URL", default=f"sqlite:///{BASE_DIR / '.run' / 'hub.sqlite3'}"),
        pool_size=env.int("DATABASE_POOL_SIZE", default=10),
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
    "payloads": {
        "BACKEND": "webhooks.keeping.payloads.DurableFileSystemStorage",
        "OPTIONS": {"location": PAYLOAD_DIR},
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# The receiving view has its own limit and its own 413.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# --- security ---------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_IPWARE_PROXY_COUNT = TRUSTED_PROXY_COUNT or None
AXES_VERBOSE = False
_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=_HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if _HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = _HTTPS
SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DEFAULT_EXCEPTION_REPORTER_FILTER = "terra_hub.logs.SecretFilter"
# Unfold ships the standard Alpine build, which needs 'unsafe-eval', and sets inline styles:
# docs/decisions/0004-csp-of-the-admin.md.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- API --------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "webhooks.paginator.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "destinations.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Terra destination hub",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
LOGGING_CONFIG = None
LOGGING = logging_settings(level=env.str("LOG_LEVEL", default="INFO"))
UNFOLD = unfold_settings()
