"""Sends COUNT messages with Python's own SysLogHandler to HOST:PORT, by udp or tcp, with an ident or without.

    syslog.py HOST:PORT udp|tcp IDENT|- COUNT
"""

import logging
import logging.handlers
import socket
import sys

address, kind, ident, count = sys.argv[1:]
host, port = address.rsplit(":", 1)
kinds = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
handler = logging.handlers.SysLogHandler((host, int(port)), socktype=kinds[kind])
handler.ident = "" if ident == "-" else f"{ident}: "
logger = logging.getLogger("test")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(int(count)):
    logger.warning("größe python%s%d", kind, number)
handler.close()
