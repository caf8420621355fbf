"""The bank's accounts service: older than its API, and not to be shown as it is.

GET /accounts answers the accounts of the customer in X-Customer-Id.
PUT /_faults {"count": 2, "status": 500} makes the next requests fail, for trying out.
Ends when its standard input does.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNTS = {
    "cust_1001": [
        {
            "accountId": "acc_22289",
            "currency": "GBP",
            "accountType": "Personal",
            "nickname": "Bills",
            "iban": "GB29NWBK60161331926819",
            "balance": "1230.00",
            "internalAccountCode": "CORE-7781-A",
            "legacySortCode": "60-16-13",
        },
        {
            "accountId": "acc_31820",
            "currency": "GBP",
            "accountType": "Personal",
            "nickname": "Household",
            "iban": "GB94BARC10201530093459",
            "balance": "57.36",
            "internalAccountCode": "CORE-7781-B",
            "legacySortCode": "20-15-30",
        },
    ],
    "cust_1002": [
        {
            "accountId": "acc_90001",
            "currency": "GBP",
            "accountType": "Business",
            "nickname": "Bakery",
            "iban": "GB33BUKB20201555555555",
            "balance": "8800.10",
            "internalAccountCode": "CORE-9002-A",
            "legacySortCode": "20-20-15",
        },
    ],
}

faults = {"count": 0, "status": 500}
seen = []
lock = threading.Lock()


class Accounts(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/_seen":
            return self.answer(200, seen)
        if self.path.split("?")[0] != "/accounts":
            return self.answer(404, {"error": f"no {self.path} in /srv/core-banking"})
        with lock:
            seen.append(dict(self.headers))
            fails = faults["count"] > 0
            faults["count"] -= 1 if fails else 0
        if fails:
            trace = 'Traceback: File "/srv/core-banking/db.py": connect to 10.20.0.7 failed'
            return self.answer(faults["status"], {"trace": trace})
        customer = self.headers.get("X-Customer-Id", "")
        self.answer(200, {"accounts": ACCOUNTS.get(customer, []), "servedBy": "core-banking-3"})

    def do_PUT(self):
        given = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        with lock:
            faults.update(given)
            seen.clear()
        self.answer(200, faults)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    # Python's 5 are too few: of the gateway's 64 connections at once the others would be dropped, tried
    # again by the system after seconds, and some given up.
    request_queue_size = 128


def end_with_standard_input():
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    server = Server(("127.0.0.1", 0), Accounts)
    print(f"Accounts service on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
