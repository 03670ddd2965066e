"""Django settings, all taken from the environment.

Each variable may be given as ``NAME`` or as ``NAME_FILE`` (a path to a file that
holds the value). README.md has the table of every variable.
"""

from pathlib import Path
from typing import Any

from terra_hub.api_about import ABOUT, TAGS
from terra_hub.databases import database_settings
from terra_hub.environment import Environment
from terra_hub.logs import logging_settings
from terra_hub.look import unfold_settings
from terra_hub.notify import email_settings
from terra_hub.payload_store import file_store, gcs_store, payload_storage, s3_store

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

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
# Days that are kept, 0 for ever: docs/retention.md.
RETENTION_PAYLOAD_DAYS = env.int("RETENTION_PAYLOAD_DAYS", default=30)
RETENTION_SNAPSHOT_DAYS = env.int("RETENTION_SNAPSHOT_DAYS", default=7)
RETENTION_ATTEMPT_DAYS = env.int("RETENTION_ATTEMPT_DAYS", default=400)
RETENTION_EVENT_DAYS = env.int("RETENTION_EVENT_DAYS", default=400)
RETENTION_QUARANTINE_DAYS = env.int("RETENTION_QUARANTINE_DAYS", default=7)
RETENTION_SWEEP = env.str("RETENTION_SWEEP", default="on")
BODY_TIMEOUT_SECONDS = env.float("BODY_TIMEOUT_SECONDS", default=60.0)
# Of bodies that are being read at once, in one web process: so many bytes, then 503.
HELD_BODY_BYTES = env.int("HELD_BODY_BYTES", default=512 * 1024 * 1024)
COMMIT_TIMEOUT_SECONDS = env.float("COMMIT_TIMEOUT_SECONDS", default=10.0)
# Requests that are committed together at most; 1: a commit for each request, which benchmarks compare with.
GROUP_COMMIT_MAX = max(1, env.int("GROUP_COMMIT_MAX", default=256))
WORKER_LANES = env.int("WORKER_LANES", default=64)
CLAIM_LEASE_SECONDS = env.int("CLAIM_LEASE_SECONDS", default=60)
SHUTDOWN_GRACE_SECONDS = env.int("SHUTDOWN_GRACE_SECONDS", default=30)
PAYLOAD_DIR = env.str("PAYLOAD_DIR", default=str(BASE_DIR / ".run" / "payloads"))
PAYLOAD_STORE = env.str("PAYLOAD_STORE", default="file")
# Payload links then lead on to short-lived links of S3 or GCS. Not by default: readers would need a way to
# the store, and its links cannot be revoked.
PAYLOAD_REDIRECT = env.bool("PAYLOAD_REDIRECT", default=False)
PAYLOAD_S3_BUCKET = env.str("PAYLOAD_S3_BUCKET", default="")
PAYLOAD_S3_PREFIX = env.str("PAYLOAD_S3_PREFIX", default="")
PAYLOAD_S3_REGION = env.str("PAYLOAD_S3_REGION", default="")
PAYLOAD_S3_ENDPOINT = env.str("PAYLOAD_S3_ENDPOINT", default="")
PAYLOAD_S3_ACCESS_KEY_ID = env.str("PAYLOAD_S3_ACCESS_KEY_ID", default="")
PAYLOAD_S3_SECRET_ACCESS_KEY = env.str("PAYLOAD_S3_SECRET_ACCESS_KEY", default="")
PAYLOAD_GCS_BUCKET = env.str("PAYLOAD_GCS_BUCKET", default="")
PAYLOAD_GCS_PREFIX = env.str("PAYLOAD_GCS_PREFIX", default="")
PAYLOAD_GCS_KEY = env.str("PAYLOAD_GCS_KEY", default="")
PAYLOAD_GCS_ENDPOINT = env.str("PAYLOAD_GCS_ENDPOINT", default="")
# Hours after a deauth (or access_revoked) in which a person is erased from the hub; 0: never.
ERASE_AFTER_DEAUTH_HOURS = max(0.0, float(env.str("ERASE_AFTER_DEAUTH_HOURS", default="") or 0))
# Multiplies every wait of every retry schedule; only tests set it below 1.
RETRY_TIME_SCALE = env.float("RETRY_TIME_SCALE", default=1.0)
# The hub's own identity at AWS, for destinations that use a role or this identity itself.
HUB_AWS_ARN = env.str("HUB_AWS_ARN", default="")
HUB_AWS_ACCESS_KEY_ID = env.str("HUB_AWS_ACCESS_KEY_ID", default="")
HUB_AWS_SECRET_ACCESS_KEY = env.str("HUB_AWS_SECRET_ACCESS_KEY", default="")
HUB_AWS_AMBIENT = env.str("HUB_AWS_AMBIENT", default="")
HUB_AWS_STS_ENDPOINT = env.str("HUB_AWS_STS_ENDPOINT", default="")
# Test servers that stand in for Google's own; refused by check --deploy.
GCS_ENDPOINT = env.str("GCS_ENDPOINT", default="")
GCS_TOKEN_ENDPOINT = env.str("GCS_TOKEN_ENDPOINT", default="")
# The API also takes user name and password, through django-axes; else the admin's session only.
API_BASIC_AUTH = env.bool("API_BASIC_AUTH", default=False)
# Of one user, one key, or one address without either, in each web process; 0: no limit.
API_RATE_PER_MINUTE = env.int("API_RATE_PER_MINUTE", default=600)
API_WRONG_KEYS_PER_MINUTE = env.int("API_WRONG_KEYS_PER_MINUTE", default=30)
# The channels that notices about destinations leave by: docs/notices.md.
EMAIL_URL = env.str("EMAIL_URL", default="")
NOTIFY_EMAIL_TO = env.list("NOTIFY_EMAIL_TO", default=[])
NOTIFY_EMAIL_FROM = env.str("NOTIFY_EMAIL_FROM", default="")
NOTIFY_WEBHOOK_URL = env.str("NOTIFY_WEBHOOK_URL", default="")
globals().update(email_settings(EMAIL_URL))
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
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "terra_hub.requestid.RequestIdMiddleware",
    "terra_hub.compress.CompressPages",
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
        pool_size=env.int("DATABASE_POOL_SIZE", default=16),
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
    "payloads": payload_storage(
        PAYLOAD_STORE,
        file=file_store(PAYLOAD_DIR),
        s3=s3_store(
            bucket=PAYLOAD_S3_BUCKET,
            prefix=PAYLOAD_S3_PREFIX,
            region=PAYLOAD_S3_REGION,
            endpoint=PAYLOAD_S3_ENDPOINT,
            key_id=PAYLOAD_S3_ACCESS_KEY_ID,
            secret_key=PAYLOAD_S3_SECRET_ACCESS_KEY,
        ),
        gcs=gcs_store(
            bucket=PAYLOAD_GCS_BUCKET, prefix=PAYLOAD_GCS_PREFIX, key=PAYLOAD_GCS_KEY, endpoint=PAYLOAD_GCS_ENDPOINT
        ),
    ),
}
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "static"))
# Files that were collected are compressed; those of the packages are not, and would win over them.
WHITENOISE_USE_FINDERS = not (Path(STATIC_ROOT) / "hub").is_dir()
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
# The receiving view has its own limit and its own 413.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

# What people upload are small files with secrets: kept in memory, capped, and never written to a disk.
FILE_UPLOAD_HANDLERS = ["destinations.uploads.SmallFilesInMemory"]

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
AXES_USERNAME_CALLABLE = "destinations.access.authentication.noted_name"
_HTTPS = PUBLIC_URL.startswith("https://")
SESSION_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_SECURE = _HTTPS
CSRF_FAILURE_VIEW = "terra_hub.errors.csrf_failure"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=_HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^readyz$"]
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
    "DEFAULT_SCHEMA_CLASS": "destinations.apischema.HubSchema",
    "DEFAULT_PAGINATION_CLASS": "webhooks.api.paginator.KeysetPagination",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "destinations.problems.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Terra destination hub",
    "DESCRIPTION": ABOUT,
    "SERVERS": [{"url": "/", "description": "This hub."}],
    "TAGS": TAGS,
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Choices stay where they are: two types' fields of one name would become Auth0a0Enum and AuthD94Enum.
    "POSTPROCESSING_HOOKS": ["webhooks.api.docs.complete"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
LOGGING_CONFIG = None
LOGGING = logging_settings(level=env.str("LOG_LEVEL", default="INFO"))
UNFOLD = unfold_settings()
