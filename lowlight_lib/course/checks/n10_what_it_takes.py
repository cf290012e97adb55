"""Exercises of notebook 10 about time; those about counting are in `n10_what_it_costs`."""

import math

from ... import models
from ...deploy import counting
from .common import ANY, answer_of, exercise, near


def race(calls, rounds, clock, wait):
    times = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            wait()
            began = clock()
            call()
            wait()
            if turn:  # the first round warms up
                times[name].append(clock() - began)
    return times


class _Machine:
    """A machine whose clock is a number: calls hand in work, the first of each is slow."""

    def __init__(self, late):
        self.now, self.busy_until, self.late = 0.0, 0.0, late
        self.log, self.seen = [], set()

    def work(self, name, seconds):
        def call():
            slow = 0 if name in self.seen else 100.0
            self.seen.add(name)
            self.log.append(name)
            self.now += 0.25  # what handing it in takes
            self.busy_until = max(self.now, self.busy_until) + seconds + slow
            if not self.late:
                self.wait()

        return call

    def wait(self):
        self.now = max(self.now, self.busy_until)


@exercise("10.4", 3, race)
def _(function):
    """Right: one round to warm up, turns, and a clock that waits. These times can be compared."""
    for late in (False, True):
        machine, seconds, rounds = _Machine(late), {"a": 2.0, "b": 5.0}, 4
        calls = {name: machine.work(name, s) for name, s in seconds.items()}
        times = answer_of(function, calls, rounds, lambda m=machine: m.now, machine.wait)
        assert isinstance(times, dict) and set(times) == set(calls), """Step 1: return a dictionary
            with a list of seconds for each name in `calls`."""
        times = {name: [float(t) for t in its] for name, its in times.items()}
        for name, its in times.items():
            said = f"With rounds={rounds} the list of {name!r} has {len(its)} times"
            assert len(its) != rounds + 1, f"{said}: the round that warms up must not be in it."
            assert len(its) == rounds, f"Step 1: {said}."
            if not late:
                slow = its[0] > 50 and all(near(t, seconds[name] + 0.25) for t in its[1:])
                assert not slow, f"""Step 1 is right. Step 2: among the times of {name!r} is one of
                    {max(its):g} s, the very first call. Let a round go by that does not count."""
        if not late:
            for name, its in times.items():
                good = all(near(t, seconds[name] + 0.25) for t in its)
                assert good, f"""Step 1: the times of {name!r} are {its}, and each call took
                    {seconds[name] + 0.25:g} s. Look at the clock right before and right after."""
            pairs = [set(machine.log[i : i + 2]) for i in range(0, len(machine.log), 2)]
            assert all(len(pair) == 2 for pair in pairs), f"""Steps 1 and 2 are right. Step 3: they
                were called in the order {" ".join(machine.log)}, which is not in turns."""
            continue
        for name, its in times.items():
            short = any(t < 1 for t in its)
            assert not short, f"""Steps 1 to 3 are right. Step 4: {name!r} hands in work of
                {seconds[name]:g} s, and you measured {min(its):g} s. The work was still running."""
            good = all(near(t, seconds[name] + 0.25) for t in its)
            assert good, f"""Steps 1 to 3 are right. Step 4: {name!r} takes {seconds[name] + 0.25:g}
                s, and you measured {max(its):g} s: work of an earlier call was still running when
                you began."""


def misses(places, lines):
    cache, missed = {}, 0
    for place in places:
        line = place // 16
        missed += line not in cache
        cache.pop(line, None)
        cache[line] = True  # the newest is last
        if len(cache) > lines:
            del cache[next(iter(cache))]  # the oldest
    return missed


def _walks():
    back_and_forth = [0, 20, 0, 40, 0, 60, 20, 0]
    every_eighth = [8 * i + k for k in range(8) for i in range(12)]
    return [(list(range(100)), 3), (every_eighth, 3), (every_eighth, 6), (back_and_forth, 2)]


@exercise("10.5", 2, misses, _walks)
def _(answer, truth, places, lines):
    """Right: what was used last stays, and what comes back too late is fetched again."""
    distinct = len({p // 16 for p in places})
    yield distinct, "So it is with a cache that never runs full. What happens when it does?"
    yield len(places), "A place whose line is in the cache costs nothing. A line has 16 floats."
    yield len(set(places)), "Count lines, not places: 16 neighbours come together."
    yield (
        _first_in_first_out(places, lines),
        """You let go of the line that *came* first. It may
        have been used a moment ago: a line that is used becomes the newest.""",
    )
    yield misses(places, lines - 1), "One line too few has room: put it in, then see if it is full."
    yield misses(places, lines + 1), "One line too many has room in your cache."
    yield True, "Which line does a place lie in, is that line there, and which one goes?"


def _first_in_first_out(places, lines):
    cache, missed = [], 0
    for line in (p // 16 for p in places):
        if line not in cache:
            missed += 1
            cache = [*cache, line][-lines:]
    return missed


def roofline_point(op, seconds, peak, bandwidth):
    moved = 4 * sum(math.prod(shape) for shape in (op.input, op.weight, op.output))
    operations = 2 * op.macs
    bound = min(peak, operations / moved * bandwidth)
    return moved, operations / moved, operations / seconds, operations / seconds / bound


def _layers():
    ops = [op for op in counting.trace(models.build("redi"), (1, 1, 256, 384)) if op.macs]
    found = {op.module: op for op in ops}
    return [(found[name], 0.003, 150e9, 20e9) for name in ("fuse", "hse.squeeze", "mse.conv1")]


@exercise("10.6", 3, roofline_point, _layers)
def _(answer, truth, op, seconds, peak, bandwidth):
    """Right: bytes, intensity, speed, and the share of what this layer could reach here."""
    moved, intensity, speed, share = truth
    sizes = [math.prod(s) for s in (op.input, op.weight, op.output)]
    yield near(answer[0], moved / 4), "Step 1: those are numbers. A float32 has four bytes."
    for size, name in zip(sizes, ("input", "weights", "output"), strict=True):
        yield near(answer[0], moved - 4 * size, 1e-6), f"Step 1: and the {name}?"
    yield not near(answer[0], moved, 1e-6), "Step 1: input, weights, output: how many bytes each?"
    yield near(answer[1], intensity / 2), "Step 2: one MAC is two operations."
    yield near(answer[1], 1 / intensity), "Step 2: operations for each byte, not bytes for each."
    yield not near(answer[1], intensity), "Step 2: operations divided by the bytes of step 1."
    yield near(answer[2], speed / 2), "Step 3: one MAC is two operations here as well."
    yield not near(answer[2], speed), "Step 3: operations divided by seconds."
    yield near(answer[3], speed / peak), "Step 4: this layer's own bound, not always the peak."
    wrong = speed / max(peak, intensity * bandwidth)
    yield near(answer[3], wrong), "Step 4: both limits hold, so the smaller one counts."
    yield near(answer[3], 1 / share), "Step 4: speed over bound, not bound over speed."
    yield True, "Step 4: the bound is the smaller of two numbers. Speed over it is the share."


def floors(ops, peak):
    def is_3x3(op):
        return op.kind == "convolution" and op.weight[2:] == (3, 3)

    macs = sum(op.macs for op in ops)
    saved = 0.75 * sum(op.macs for op in ops if is_3x3(op))
    return 2 * macs / peak, 2 * (macs - saved) / peak


def _networks():
    keys = "llpacknet", "redi"
    return [(counting.trace(models.build(key), (1, 1, 512, 768)), 11.3e12) for key in keys]


@exercise("10.7", 2, floors, _networks)
def _(answer, truth, ops, peak):
    """Right. The first floor is of one algorithm, the second of another."""
    first, second = truth
    yield (first / 2, second / 2), "One MAC is a multiplication and an addition: two operations."
    yield (first / 2, ANY), "As written: one MAC is two operations."
    yield (1 / first, ANY), "That is pictures a second."
    yield (first, first / 4), "Not every layer is a 3x3 convolution: the others need all of it."
    yield (first, first - 4 / 3 * (first - second)), "A quarter of their products is still needed."
    yield (first, first - (first - second) / 3), "A quarter is what stays, not what falls away."
    yield (first, ANY), "The second: which of the operations are 3x3 convolutions?"
    yield True, "The first: two operations for each MAC, over operations a second."
