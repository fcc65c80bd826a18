"""Mail by SMTP with an end: `EMAIL_TIMEOUT` seconds in all for one connection, its greeting, TLS and messages.

smtplib's timeout is for each read, so a server that sends a byte now and then holds its caller for ever, and with it whatever
else waits to be told.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Sequence
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends import smtp


class EmailBackend(smtp.EmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """As Django's. Raises what a connection that broke raises, when the time is up."""
        sockets: list[socket.socket] = []
        self._sockets = sockets
        timer = threading.Timer(self.timeout or 0.0, _cut, [self, sockets])
        timer.daemon = True
        if self.timeout:
            timer.start()
        try:
            return super().send_messages(email_messages)
        finally:
            timer.cancel()

    @property
    def connection_class(self) -> Any:
        base = smtplib.SMTP_SSL if self.use_ssl else smtplib.SMTP
        sockets = self._sockets

        class Watched(base):  # type: ignore[misc, valid-type]  # one of two
            def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
                found: socket.socket = super()._get_socket(host, port, timeout)
                sockets.append(found)
                return found

        return Watched


def _cut(backend: EmailBackend, sockets: Sequence[socket.socket]) -> None:
    """End whatever reads or writes on the connection now: its caller sees it broken."""
    under_tls = getattr(backend.connection, "sock", None)  # TLS takes the first socket's place once it stands
    for one in (*sockets, *([under_tls] if under_tls is not None else [])):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
