"""An OpenTelemetry collector on loopback: takes spans by OTLP over HTTP as protobuf, and can be killed and revived."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    port: int = 0
    status: int = 200
    loses_answers: bool = False  # takes the spans, and hangs up before it says so
    refuses: Callable[[list[Span]], int] = lambda spans: 0  # the status for a request with these spans; 0: as `status` says
    asked: list[int] = field(default_factory=list)  # how many spans each request brought
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    _server: ThreadingHTTPServer | None = None

    def live(self) -> None:
        """Begin, or begin again at the same port."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces"
                spans = list(_spans_of(body))
                collector.asked.append(len(spans))
                status = collector.refuses(spans) or collector.status
                if status == 200:
                    collector.bodies.append(body)
                    collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                if collector.loses_answers:
                    self.connection.close()
                    return
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Nothing: the test asserts."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def die(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def spans(self) -> list[Span]:
        """Everything that came, repetitions too."""
        return [span for body in self.bodies for span in _spans_of(body)]

    @property
    def by_id(self) -> dict[str, Span]:
        return {span.span_id.hex(): span for span in self.spans}


def _spans_of(body: bytes) -> Iterator[Span]:
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for of_scope in of_resource.scope_spans:
            yield from of_scope.spans
