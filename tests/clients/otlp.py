"""Sends log records with OpenTelemetry's own SDK and exporter, and says what was acknowledged.

    otlp.py URL send COUNT     COUNT records to URL, one line "acked TEXT" for each that the exporter counts as delivered
    otlp.py URL stage COUNT    the same through a stage that answers the first two requests with 503

I1. Nothing waits for time to pass; the exporter waits as its own rules and the server's Retry-After say.
"""

import http.client
import http.server
import logging
import sys
import threading
import urllib.parse
import warnings

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

warnings.simplefilter("ignore")


class Telling(OTLPLogExporter):
    """The exporter, which tells what was delivered."""

    def export(self, batch):
        result = super().export(batch)
        word = "acked" if result.value == 0 else "failed"
        for record in batch:
            print(word, record.log_record.body, flush=True)
        return result


class Stage(http.server.BaseHTTPRequestHandler):
    """Refuses two requests as an overloaded server does, and passes all others on."""

    protocol_version = "HTTP/1.1"
    target = ""
    refused = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if Stage.refused < 2:
            Stage.refused += 1
            return self.answer(503, b"", {"retry-after": "1"})
        url = urllib.parse.urlsplit(Stage.target)
        server = http.client.HTTPConnection(url.netloc)
        server.request("POST", url.path, body, {k: v for k, v in self.headers.items() if k.lower() != "host"})
        answer = server.getresponse()
        self.answer(answer.status, answer.read(), {"content-type": answer.headers["content-type"]})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(url, how, count):
    if how == "stage":
        Stage.target = url
        stage = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stage)
        threading.Thread(target=stage.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{stage.server_port}/v1/logs"
    resource = Resource.create({"service.name": "checkout", "deployment.environment": "test"})
    provider = LoggerProvider(resource=resource)
    exporter = Telling(endpoint=url, compression=Compression.Gzip, timeout=60)
    processor = BatchLogRecordProcessor(exporter, schedule_delay_millis=50, max_export_batch_size=50)
    provider.add_log_record_processor(processor)
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for part in range(0, count, 50):
        for number in range(part, min(part + 50, count)):
            logger.error("order%d was refused", number, extra={"customer": f"customer{number % 7}"})
        # So that no more wait than the processor keeps.
        provider.force_flush(120_000)
    provider.shutdown()
    print("refused", Stage.refused, flush=True)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
