"""The webhook that hears of requests, at servers that misbehave: bounded, never followed, tried again, given up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import quote

import pytest

from approvals.notices import outbox
from approvals.notices.models import Delivery
from orchestration.engine import webhook
from tests.approvals.house import ask, policy_document, store_policy
from tests.hostile.house import hostile_server

pytestmark = pytest.mark.django_db

SECRET = b"k" * 32
MISBEHAVING = ("never answers", "drip of the head", "header flood", "redirect to", "status 500", "not http", "length too short")


@pytest.fixture(autouse=True)
def telling(settings: Any, monkeypatch: pytest.MonkeyPatch, person: Any) -> None:
    settings.TELLS_BY_WEBHOOK = True
    monkeypatch.setattr(webhook, "SECONDS", 1.0)
    monkeypatch.setenv(webhook.KEPT_UNDER, "whsec_" + base64.b64encode(SECRET).decode())
    person("lea", "Leads")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with hostile_server() as port:
        yield port


def told(settings: Any, url: str, *hosts: str) -> Delivery:
    settings.WEBHOOK_URL, settings.WEBHOOK_HOSTS = url, list(hosts)
    ask(store_policy(policy_document()))
    outbox.look()
    return Delivery.objects.get()


@pytest.mark.parametrize("kind", MISBEHAVING)
def test_whatever_the_server_does_the_attempt_ends_and_is_made_again(kind: str, port: int, settings: Any) -> None:
    from tests.hostile import server

    path = next(name for name in server.KINDS if name == kind or name.startswith(kind))
    began = time.monotonic()
    row = told(settings, f"http://127.0.0.1:{port}/{quote(path)}", f"http://127.0.0.1:{port}")

    assert time.monotonic() - began < 10
    assert (row.attempts, row.sent_at, row.dead_at) == (1, None, None)
    assert row.detail
    assert row.due_at > row.notice.at


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest/", "http://[::1]:9/", "https://10.0.0.1/"]
)
def test_no_connection_is_made_where_none_is_allowed(url: str, settings: Any) -> None:
    assert "may not be used" in told(settings, url).detail


def test_what_was_given_up_alarms_who_reads_the_audit(settings: Any, quinn: Any, sam: Any, browser_of: Any) -> None:
    row = told(settings, "http://127.0.0.1:9/")
    Delivery.objects.update(tried_since=row.notice.at - outbox.GIVE_UP, due_at=row.notice.at)
    outbox.look()
    assert Delivery.objects.get().dead_at is not None
    assert "nobody took them" in browser_of(quinn).get("/").content.decode()
    assert "nobody took them" not in browser_of(sam).get("/").content.decode()


def test_without_a_secret_nothing_leaves(settings: Any, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(webhook.KEPT_UNDER)
    row = told(settings, f"http://127.0.0.1:{port}/x", f"http://127.0.0.1:{port}")
    assert webhook.KEPT_UNDER in row.detail


def test_what_arrives_is_signed_and_holds_no_text_of_anybody(settings: Any) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard.append((headers, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    listener = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        origin = f"http://127.0.0.1:{listener.server_port}"
        row = told(settings, f"{origin}/hook", origin)
    finally:
        listener.shutdown()
        listener.server_close()
    assert row.sent_at is not None
    ((headers, body),) = heard
    assert headers["webhook-id"] == f"msg_{row.pk.hex}"
    signed = b"%s.%s.%s" % (headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.digest(SECRET, signed, hashlib.sha256)).decode()
    told_ = json.loads(body)
    assert told_["type"] == "request.asked"
    assert set(told_["data"]) == {
        "request", "label", "status", "policy", "capability", "agent", "risk", "stage", "deadline", "link",
    }  # fmt: skip
