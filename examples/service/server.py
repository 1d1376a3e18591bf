"""A small HTTP service, on whatever it is given: systemd's sockets (LISTEN_FDS), a port number, or the path of a unix socket."""
import http.server, os, signal, socket, sys

visits = 0


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global visits
        visits += 1
        status, text = 200, f"hello, visit {visits} of process {os.getpid()}, uid {os.getuid()}\n"
        if self.path == "/crash":
            os._exit(3)
        if self.path == "/secrets":
            try:
                text = open("/etc/shadow").readline()
            except OSError as error:
                status, text = 403, f"{error.strerror}\n"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def address_string(self):  # a unix socket's client has none
        return self.client_address[0] if self.client_address else "local"


def listener():
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and int(os.environ.get("LISTEN_FDS", 0)) > 0:
        return socket.socket(fileno=3)
    [where] = sys.argv[1:]
    if where.isdigit():
        return socket.create_server(("127.0.0.1", int(where)))
    if os.path.exists(where):  # of a service that was killed
        os.unlink(where)
    one = socket.socket(socket.AF_UNIX)
    one.bind(where)
    one.listen()
    return one


def tell(state):
    """sd_notify(3), for Type=notify."""
    if where := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(state.encode(), where)


def stop(number, _):
    print(f"stopping: {signal.Signals(number).name}", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(None, Answer, bind_and_activate=False)
server.socket.close()
server.socket = listener()
print("ready", flush=True)
tell("READY=1")
server.serve_forever()
