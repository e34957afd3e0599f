# An HTTP proxy for spec/proxy_spec.lua that passes CONNECT to wherever it is for, but refuses the
# first one after each connection that broke. usage: python3 proxy.py
# Prints its port, then what it did. Ends after a minute.
import select, signal, socket, socketserver, struct, threading

signal.alarm(60)
broken = threading.Event()


def say(text):
    print(text, flush=True)


# Until one end closes or resets the connection, which then is reset for the other.
def tunnel(client, server):
    other = {client: server, server: client}
    try:
        while True:
            for end in select.select(list(other), [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                other[end].sendall(data)
    except OSError:
        broken.set()
    finally:
        for end in other:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()


class Client(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.request.recv(4096)
        if broken.is_set():
            broken.clear()
            say("refused")
            self.request.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        host, port = head.split()[1].decode().rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        say("passed")
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        tunnel(self.request, server)


class Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True


with Proxy(("127.0.0.1", 0), Client) as proxy:
    say("port %d" % proxy.server_address[1])
    proxy.serve_forever()
