"""Watches what a home's router lets in: when the bytes of a transfer came, and from whom."""

import threading
import time

CARRYING_BYTES = 1000  # keep-alives and probes are less


class Flow:
    """Samples a home's router in a thread until `end`; `relays` are addresses, the rest is peers."""

    def __init__(self, home, relays):
        self.home = home
        self.relays = set(relays)
        self.samples = []  # (time, bytes from relays, bytes from others)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.sample()
        self.thread.start()

    def sample(self):
        relayed = direct = 0
        for address, counters in self.home.router.counters()["remotes"].items():
            if address in self.relays:
                relayed += counters["bytes_passed_in"]
            else:
                direct += counters["bytes_passed_in"]
        self.samples.append((time.monotonic(), relayed, direct))
        return self.samples[-1]

    def _watch(self):
        while not self.ended.wait(0.005):
            self.sample()

    def end(self):
        if not self.ended.is_set():
            self.ended.set()
            self.thread.join()
            self.sample()

    def bytes_since(self, sample):
        """(from relays, from others) since then."""
        now = self.samples[-1]
        return now[1] - sample[1], now[2] - sample[2]

    def wait_for(self, relayed=0, direct=0, since=None, patience=60):
        """The sample at which so many bytes had come since then; fails when they do not come."""
        since = since or self.samples[0]
        until = time.monotonic() + patience
        while True:
            now = self.samples[-1]
            if now[1] - since[1] >= relayed and now[2] - since[2] >= direct:
                return now
            if time.monotonic() > until:
                raise AssertionError(f"{now[1] - since[1]} bytes came from the relay and {now[2] - since[2]} directly, "
                                     f"not {relayed} and {direct}")
            time.sleep(0.002)

    def longest_gap_ms(self, since, until=None):
        """The longest time in which nothing of the transfer came in, from one sample to another."""
        last_time, last_bytes, longest = since[0], since[1] + since[2], 0.0
        for when, relayed, direct in self.samples:
            if when < since[0] or (until is not None and when > until[0]):
                continue
            if relayed + direct - last_bytes >= CARRYING_BYTES:
                longest = max(longest, when - last_time)
                last_time, last_bytes = when, relayed + direct
        return longest * 1e3
