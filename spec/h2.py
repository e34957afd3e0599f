# An HTTP/2 server for spec/engine_spec.lua that breaks each connection, unanswered, once a second
# request has come on it, or none for half a second. usage: python3 h2.py CERT KEY
# Prints its port, then the method of each request. Ends after a minute.
import signal, socket, ssl, struct, sys, threading

signal.alarm(60)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.set_alpn_protocols(["h2"])
server = socket.create_server(("127.0.0.1", 0))
print("port %d" % server.getsockname()[1], flush=True)


def read(file):
    file.read(24)  # the preface
    requests = 0
    while requests < 2:
        head = file.read(9)
        if len(head) < 9:
            return
        file.read(int.from_bytes(head[:3], "big"))
        if head[3] == 1:  # HEADERS; a GET ends its stream with them
            sys.stdout.write("GET\n" if head[4] & 1 else "POST\n")
            sys.stdout.flush()
            requests += 1


def serve(plain):
    stream = context.wrap_socket(plain, server_side=True)
    stream.sendall(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS, all as they are
    stream.settimeout(0.5)
    file = stream.makefile("rb")
    try:
        read(file)
    except TimeoutError:
        pass
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    file.close()
    stream.close()


while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
