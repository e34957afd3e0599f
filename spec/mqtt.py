"""A small MQTT client for spec/sim_stream_spec.lua that shows the bytes as they come.

usage: python3 mqtt.py PORT CA_FILE|- STEP...
  connect=JSON      sends a CONNECT: level (5), client_id, keepalive (30), user, password, will,
                    aliases (5 only)
  subscribe=FILTER  sends a SUBSCRIBE
  unsubscribe=FILTER  sends an UNSUBSCRIBE
  send=HEX          sends these bytes
  until=TYPE        reads until a packet of this number has come
  count=N           reads until N messages have come; only their number is told (messages)
  hold=SECONDS      reads nothing for so long
  end               reads until the end
  quit              closes without a DISCONNECT
  listen=SECONDS    reads for so long
Writes a JSON object: packets (first, body, length_bytes; first_read and last_read, the numbers of
the reads that its first and last byte came with), end ("eof", "notify", "reset", "timeout", "open",
or what the TLS handshake said), seconds (from the connection to the end), tls (the version).
"""
import bisect
import json
import socket
import ssl
import struct
import sys
import time

LIMIT = 20


class Done(Exception):
    pass


def text(value):
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def packet(first, body):
    out, left = bytes([first]), len(body)
    while True:
        left, digit = divmod(left, 128)
        out += bytes([digit | (128 if left else 0)])
        if not left:
            return out + body


class Client:
    def __init__(self, port, ca):
        self.level, self.data, self.taken = 5, bytearray(), 0
        self.reads = []  # how many bytes had come by the end of each
        self.packets, self.messages, self.end, self.tls = [], 0, "open", None
        self.start = time.monotonic()
        self.stream = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        if ca != "-":
            context = ssl.create_default_context(cafile=ca)
            # Python 3.11.2, Debian 12's, sets it: then any end looks like one with close_notify.
            context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
            try:
                self.stream = context.wrap_socket(self.stream, server_hostname="localhost",
                                                  suppress_ragged_eofs=False)
            except (ssl.SSLError, OSError) as error:
                self.finish(str(error))
            self.tls = self.stream.version()

    def finish(self, how):
        self.end = how
        raise Done

    def read(self, limit=LIMIT):
        self.stream.settimeout(limit)
        how = "notify" if self.tls else "eof"
        try:
            data = self.stream.recv(65536)
        except ssl.SSLError as error:
            if "EOF" not in str(error):
                raise
            how, data = "eof", b""
        except ConnectionResetError:
            how, data = "reset", b""
        except (socket.timeout, TimeoutError):
            how, data = "timeout", b""
        if not data:
            self.finish(how)
        self.reads.append((self.reads[-1] if self.reads else 0) + len(data))
        self.data += data
        while self.take():
            pass

    def take(self):
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self.data):
                return False
            digit = self.data[at]
            length |= (digit & 127) << shift
            shift, at = shift + 7, at + 1
            if digit < 128 or at > 4:
                break
        end = at + length
        if end > len(self.data):
            return False
        self.packets.append({"first": self.data[0], "length_bytes": at - 1,
                             "body": self.data[at:end].hex(), "first_read": bisect.bisect_right(self.reads, self.taken),
                             "last_read": bisect.bisect_left(self.reads, self.taken + end)})
        self.taken += end
        del self.data[:end]
        return True

    def connect(self, given):
        given = {"client_id": "raw", "keepalive": 30, "level": 5, **json.loads(given)}
        self.level = given["level"]
        flags = 2 | (0x80 if "user" in given else 0) | (0x40 if "password" in given else 0)
        flags |= 0x04 if "will" in given else 0
        body = text("MQTT") + struct.pack(">BBH", self.level, flags, given["keepalive"])
        if self.level == 5:
            aliases = struct.pack(">BH", 34, given["aliases"]) if "aliases" in given else b""
            body += bytes([len(aliases)]) + aliases
        body += text(given["client_id"])
        if "will" in given:
            body += (b"\0" if self.level == 5 else b"") + text(given["will"]) + text("gone")
        for name in "user", "password":
            body += text(given[name]) if name in given else b""
        self.send(packet(0x10, body).hex())

    def subscribe(self, topic):
        properties = b"\0" if self.level == 5 else b""
        self.send(packet(0x82, b"\0\1" + properties + text(topic) + b"\0").hex())

    def unsubscribe(self, topic):
        properties = b"\0" if self.level == 5 else b""
        self.send(packet(0xa2, b"\0\2" + properties + text(topic)).hex())

    def send(self, digits):
        try:
            self.stream.sendall(bytes.fromhex(digits))
        except OSError:
            self.finish("reset")

    def until(self, wanted):
        seen = 0
        while True:
            for one in self.packets[seen:]:
                if one["first"] >> 4 == int(wanted) and not one.get("used"):
                    one["used"] = True
                    return
            seen = len(self.packets)
            self.read()

    def listen(self, seconds):
        stop = time.monotonic() + float(seconds)
        try:
            while time.monotonic() < stop:
                self.read(max(stop - time.monotonic(), 0.01))
        except Done:
            if self.end != "timeout":
                raise
        self.end = "open"

    def count(self, wanted):
        while self.messages < int(wanted):
            for one in self.packets:
                self.messages += one["first"] >> 4 == 3
            self.packets = []
            if self.messages < int(wanted):
                self.read()

    def run(self, steps):
        for step in steps:
            name, _, value = step.partition("=")
            if name == "hold":
                time.sleep(float(value))
            elif name == "end":
                while True:
                    self.read()
            elif name == "quit":
                self.finish("quit")
            else:
                getattr(self, name)(value)


def main():
    client = Client.__new__(Client)
    try:
        client.__init__(int(sys.argv[1]), sys.argv[2])
        client.run(sys.argv[3:])
    except Done:
        pass
    print(json.dumps({"packets": client.packets, "messages": client.messages, "end": client.end, "tls": client.tls,
                      "seconds": time.monotonic() - client.start}))


main()
