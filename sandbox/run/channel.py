"""channel.py: what the recorder in a run tells the fork server, and how that knows it for the recorder's.

A message is a length, the number that only this run knows, the message's place in the order, and JSON:

  four bytes of length, sixteen of number, four of place, all big endian, then that many bytes

It goes over a pipe of its own, never over the log. What comes without the number, out of order or over the limit is taken from
nobody: nothing after it counts.
"""

import json
import os
import struct
import threading

HEAD = struct.Struct(">I16sI")
# Of one message; longer ones are cut into several before they are sent.
MESSAGE_BYTES = 512 * 1024
# Of all messages of one run.
TOTAL_BYTES = 8 * 1024 * 1024


class Sender:
    """The recorder's end."""

    def __init__(self, descriptor, number):
        self._pid = os.getpid()
        lock, place = threading.RLock(), 0

        def send(payload):
            nonlocal place
            # A process that the code under test forks must not speak for this one.
            if os.getpid() != self._pid:
                return
            with lock:
                data = HEAD.pack(len(payload), number, place) + payload
                place += 1
                while data:
                    data = data[os.write(descriptor, data):]

        self._send = send
        self.close = lambda: os.close(descriptor)

    def tell(self, **event):
        """Sends one message."""
        payload = json.dumps(event).encode()
        if len(payload) > MESSAGE_BYTES:
            payload = json.dumps({"fault": f"a message of {len(payload)} bytes was not sent"}).encode()
        self._send(payload)


class Receiver:
    """The fork server's end."""

    def __init__(self, reader, number, deliver):
        self.reader = reader
        os.set_blocking(reader, False)
        self._number, self._deliver = number, deliver
        self._held, self._place, self._room = b"", 0, TOTAL_BYTES
        # `whole`, `cut` if it was too much, or `forged` if something else than the recorder has spoken.
        self.state = "whole"

    def take(self):
        """Reads what is there. Gives whether more can come."""
        try:
            chunk = os.read(self.reader, 65536)
        except BlockingIOError:
            return True
        if chunk and self.state == "whole":
            self._held += chunk
            self._split()
        return bool(chunk)

    def drain(self):
        """Reads what is left of a run that has ended."""
        while True:
            try:
                chunk = os.read(self.reader, 65536)
            except BlockingIOError:
                break
            if not chunk:
                break
            if self.state == "whole":
                self._held += chunk
                self._split()
        if self._held and self.state == "whole":
            # Half a message: whoever wrote it was ended, or could not count.
            self.state = "cut"

    def _split(self):
        while self.state == "whole" and len(self._held) >= HEAD.size:
            length, number, place = HEAD.unpack_from(self._held)
            if number != self._number or place != self._place or length > MESSAGE_BYTES:
                self.state = "forged"
            elif length > self._room:
                self.state = "cut"
            elif len(self._held) < HEAD.size + length:
                return
            else:
                self._deliver(self._held[HEAD.size:HEAD.size + length])
                self._held = self._held[HEAD.size + length:]
                self._place, self._room = place + 1, self._room - length
        if self.state != "whole":
            self._held = b""
