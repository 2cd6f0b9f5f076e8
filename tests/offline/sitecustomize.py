"""Put on the path of every Python that a test starts: no connection leaves this machine."""

import errno
import sys

LOCAL = ("127.", "::1", "localhost", "0.0.0.0")


def local(host):
    """Whether a host is this machine; a name or an address, text or bytes, None is this machine."""
    text = host.decode() if isinstance(host, bytes) else host
    return text is None or text == "" or text.startswith(LOCAL)


def refuse(event, arguments):
    """The audit hook: a connection or a look-up of any other host is an unreachable network."""
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a local socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not local(host):
        raise OSError(errno.ENETUNREACH, f"tests run without a network, and asked for {host}")


sys.addaudithook(refuse)
