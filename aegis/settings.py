"""Settings: everything that differs between installations is read from the environment here, once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from aegis.core import env, logs

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("AEGIS_DATA_DIR", str(BASE_DIR / "var")))
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEBUG = env.flag("AEGIS_DEBUG", False)
SECRET_KEY = env.text("AEGIS_SECRET_KEY", "")
SECRET_KEY_IS_GIVEN = bool(SECRET_KEY)
if not SECRET_KEY:
    from aegis.core.secrets import installation_secret

    SECRET_KEY = installation_secret(DATA_DIR)
# Signs the journal's checkpoints (audit.keys): one line a key, the newest first; "" = a file of the data folder.
JOURNAL_KEY = env.text("AEGIS_JOURNAL_KEY", "")
JOURNAL_PUBLIC_KEYS = env.text("AEGIS_JOURNAL_PUBLIC_KEYS", "").split()  # for hosts that verify but do not sign
CHECKPOINT_DIR = env.text("AEGIS_CHECKPOINT_DIR", "")  # where checkpoints are kept outside the database; "" = the data folder
VERIFY_SECONDS = env.number("AEGIS_VERIFY_SECONDS", 3600)  # the whole journal is verified so often; 0 = by hand only
SECRET_KEY_FALLBACKS = env.names("AEGIS_SECRET_KEY_FALLBACKS")

PUBLIC_URL = env.url("AEGIS_PUBLIC_URL")  # what people type; "" while AEGIS serves this machine alone
_is_https = PUBLIC_URL.startswith("https://")
_public_host = [urlsplit(PUBLIC_URL).hostname or ""] if PUBLIC_URL else []
ALLOWED_HOSTS = [*_public_host, *env.names("AEGIS_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")]
CSRF_TRUSTED_ORIGINS = [*([PUBLIC_URL] if PUBLIC_URL else []), *env.names("AEGIS_TRUSTED_ORIGINS")]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _is_https
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked from the same host, without TLS
if _is_https:
    # `serve` speaks plain HTTP, so an https address means a proxy that ends TLS and sets this header itself.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

# Who hears of approval requests and emergencies (approvals.notices). Without a host no mail is sent; without an address no
# webhook is called.
EMAIL_HOST = env.text("AEGIS_MAIL_HOST", "")
EMAIL_PORT = int(env.number("AEGIS_MAIL_PORT", 587))
EMAIL_HOST_USER = env.text("AEGIS_MAIL_USER", "")
EMAIL_HOST_PASSWORD = env.text("AEGIS_MAIL_PASSWORD", "")
EMAIL_USE_TLS = env.flag("AEGIS_MAIL_TLS", True)
EMAIL_TIMEOUT = 20  # for all of one delivery
EMAIL_BACKEND = "approvals.notices.smtp.EmailBackend"
DEFAULT_FROM_EMAIL = env.text("AEGIS_MAIL_FROM", "AEGIS <aegis@localhost>")
TELLS_BY_MAIL = bool(EMAIL_HOST)
WEBHOOK_URL = env.url("AEGIS_WEBHOOK_URL")
WEBHOOK_HOSTS = env.names("AEGIS_WEBHOOK_HOSTS")  # as AEGIS_AGENT_HOSTS, for the webhook
TELLS_BY_WEBHOOK = bool(WEBHOOK_URL)
EMERGENCY_WEBHOOK_URL = env.url("AEGIS_EMERGENCY_WEBHOOK_URL")  # of emergencies, if they have one of their own

INSTALLED_APPS = [
    "aegis.portal",
    "unfold.apps.BasicAppConfig",
    "aegis.portal.apps.PortalAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "guardian",
    "simple_history",
    "django_q",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "csp",
    "axes",
    "aegis.core",
    "aegis.identity",
    "audit",
    "approvals",
    "orchestration",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "aegis.portal.middleware.PlainCookies",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",  # default deny: public views say so themselves
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "aegis.portal.middleware.Denials",
    "aegis.portal.middleware.ErrorPages",
    "aegis.portal.middleware.LiveCounts",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "aegis.urls"
WSGI_APPLICATION = "aegis.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "aegis.portal.context.shell",
            ],
        },
    },
]

DATABASES = {"default": env.database(env.text("AEGIS_DATABASE_URL", "sqlite:///"), data_dir=DATA_DIR)}
# The grid of a routing table posts a field per cell (aegis.portal.governed.grids.MAX_FIELDS).
DATA_UPLOAD_MAX_NUMBER_FIELDS = 4_000

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "aegis.identity.backends.PersonBackend",
]
# guardian.W001 asks for its backend, through which superusers pass every check; rights are read by `visible_to` alone.
SILENCED_SYSTEM_CHECKS = ["guardian.W001"]
ANONYMOUS_USER_NAME = None  # guardian: no row that stands for strangers
GUARDIAN_RAISE_403 = True
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Five wrong passwords for one name from one address lock that pair for ten minutes; trying on does not prolong it, or anybody
# could lock anybody out for good.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
# Not kept with a failed try: what the forms of sign-in and of one's own password bring.
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "old_password", "new_password1", "new_password2"]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True  # read where they lie: a start needs no collectstatic
STATICFILES_DIRS = [BASE_DIR / "aegis" / "portal" / "assets"]

# What a page may load and do (docs/adr/0008): our own files, no inline script, no inline style, no eval, no frames.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "report-uri": "/csp-report/",
    },
}
CSRF_FAILURE_VIEW = "aegis.portal.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

UNFOLD = {
    "SITE_TITLE": "AEGIS",
    "SITE_HEADER": "AEGIS",
    "SITE_SUBHEADER": "Operations portal",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": {},  # as a file (assets/aegis/unfold-colors.css), not as an inline <style>
    "SIDEBAR": {"navigation": "aegis.portal.nav.sidebar"},
}

_redis = env.text("AEGIS_REDIS_URL", "")
Q_CLUSTER = {
    "name": "aegis",
    "workers": int(env.number("AEGIS_WORKERS", 2, minimum=1)),
    "timeout": -1,  # none: a drive task may serve many runs; every call in it has its own timeout
    "retry": 120,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": -1,
    "bulk": 1,
    "recycle": 100_000,
    "catch_up": False,
    "scheduler": False,
    "label": "AEGIS worker",
    "log_level": "WARNING",
    "broker_class": "aegis.core.wake.redis_queue.RedisBroker" if _redis else "aegis.core.wake.brokers.OrmBroker",
    **({"redis": _redis} if _redis else {"orm": "default", "poll": 0.2}),
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "aegis.identity.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["aegis.core.api.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "aegis.core.api.problem_response",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AEGIS",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "ENUM_NAME_OVERRIDES": {
        "RunStatus": "orchestration.engine.models.Run.Status",
        "RequestStatus": "approvals.models.ApprovalRequest.Status",
        "HaltStatus": "orchestration.engine.guards.models.Halt.Status",
    },
}

METRICS_TOKEN = env.text("AEGIS_METRICS_TOKEN", "")  # what Prometheus brings to /metrics/prometheus; "" = no such page
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise ImproperlyConfigured("AEGIS_METRICS_TOKEN is shorter than 16 characters")

# Where spans of runs go (docs/guide/traces.md), by OTLP over HTTP: the collector's address, "" = nowhere; headers it asks for.
OTLP_ENDPOINT = env.text("AEGIS_OTLP_ENDPOINT", "").rstrip("/")
OTLP_HEADERS = env.pairs("AEGIS_OTLP_HEADERS")
OTLP_SERVICE = env.text("AEGIS_OTLP_SERVICE", "aegis")

LEASE_SECONDS = env.number("AEGIS_LEASE_SECONDS", 30, minimum=0.2)
SWEEP_SECONDS = env.number("AEGIS_SWEEP_SECONDS", 1, minimum=0.05)
RUNS_IN_HAND = int(env.number("AEGIS_RUNS_IN_HAND", 20, minimum=1))
CALLS_IN_FLIGHT = int(env.number("AEGIS_CALLS_IN_FLIGHT", 64, minimum=1))
# When submission is refused for a while (docs/adr/0018): runs that wait, the part of them kept from any one client, the least
# space for the database, what a PostgreSQL database may grow to (0: not known), bytes of submissions in work per web process.
BACKLOG_LIMIT = int(env.number("AEGIS_BACKLOG_LIMIT", 200_000, minimum=1))
BACKLOG_RESERVE = env.number("AEGIS_BACKLOG_RESERVE", 0.2)
MIN_FREE_BYTES = int(env.number("AEGIS_MIN_FREE_MB", 512) * 2**20)
DATABASE_MAX_BYTES = int(env.number("AEGIS_DATABASE_MAX_MB", 0) * 2**20)
BODY_BYTES_IN_FLIGHT = int(env.number("AEGIS_BODY_MB_IN_FLIGHT", 16) * 2**20)
# Modules that register python agents and effect handlers: those of the reference workflows, and what the installation adds.
AGENT_MODULES = [
    "examples.support_intake.agents",
    "examples.content_pipeline.agents",
    "examples.qa_release.agents",
    "examples.ops_incident.agents",
    "examples.ops_incident.handlers",
    "examples.invoice_change.agents",
    "examples.invoice_change.handlers",
    *env.names("AEGIS_AGENT_MODULES"),
]
# Days after which retention empties what was recorded, by class (docs/guide/erasure.md); 0: kept for ever.
RETENTION_DAYS = {
    "runs": int(env.number("AEGIS_RETENTION_RUNS_DAYS", 2557, minimum=0)),
    "access": int(env.number("AEGIS_RETENTION_ACCESS_DAYS", 2557, minimum=0)),
}
AGENT_ENVIRONMENT = env.names("AEGIS_AGENT_ENVIRONMENT")  # variables handed to isolated agents beside the usual few
AGENT_HOSTS = env.names("AEGIS_AGENT_HOSTS")  # origins and networks that HTTP agents may be at beside the public Internet

# One line per entry on stderr; `serve` and any service manager collect it. Request bodies and payloads are never logged.
LOG_FORMAT = env.choice("AEGIS_LOG_FORMAT", "text", logs.FORMS)
LOG_LEVEL = env.choice("AEGIS_LOG_LEVEL", "warning", ("debug", "info", "warning", "error", "critical"))
LOGGING = logs.configure(LOG_FORMAT, LOG_LEVEL)
