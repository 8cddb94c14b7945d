"""A proxy on the way to a PostgreSQL server that keeps what each side of each connection sent, and changes nothing."""

import socket
import struct
import threading

from kit.process import free_port


class Tapped:
    """One connection: the bytes of both sides so far."""

    def __init__(self, client: socket.socket, server: socket.socket):
        self.sockets = {"client": client, "server": server}
        self.sent = {"client": bytearray(), "server": bytearray()}
        self.to_server, self.to_client = server.sendall, client.sendall
        self.over = threading.Event()
        self._open = 2

    def pump(self, side: str) -> None:
        source, target = self.sockets[side], self.sockets["server" if side == "client" else "client"]
        try:
            while piece := source.recv(1 << 18):
                self.sent[side] += piece
                (self.to_server if side == "client" else self.to_client)(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        self._open -= 1
        if self._open == 0:
            for one in self.sockets.values():
                one.close()
            self.over.set()

    def messages(self, side: str) -> list[tuple[str, bytes]]:
        """(type, body) in order; the client's first packet, which has no type, is left out."""
        data, at, out = bytes(self.sent[side]), 0, []
        if side == "client":
            at = struct.unpack_from(">I", data)[0]
        while len(data) - at >= 5:
            size = 1 + struct.unpack_from(">I", data, at + 1)[0]
            assert len(data) - at >= size, "a message that is not whole"
            out.append((chr(data[at]), data[at + 5:at + size]))
            at += size
        assert at == len(data), "bytes behind the last message"
        return out


class Tap:
    """Listens on `port`; each connection goes on to 127.0.0.1:`target`. `connections` in the order in which they came."""

    def __init__(self, target: int):
        self.target = target
        self.port = free_port()
        self.connections: list[Tapped] = []
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = Tapped(client, server)
            self.accepted(made)
            self.connections.append(made)
            for side in ("client", "server"):
                threading.Thread(target=made.pump, args=(side,), daemon=True).start()

    def accepted(self, tapped: Tapped) -> None:
        """For those that do more than listen."""

    def stop(self) -> None:
        self._listener.close()

    def wait(self, timeout: float = 20) -> list[Tapped]:
        for one in self.connections:
            assert one.over.wait(timeout), "a connection is still open"
        return self.connections
