"""The checks of notebook 10 accept right answers and answer wrong ones with a hint."""

import math
from collections import OrderedDict

import torch
from support.checks import laws
from torch import nn
from torch.nn import functional as F

from lowlight_lib.deploy import cost


def split(ops):
    up = sum(op.macs for op in ops if op.kind == "transposed convolution")
    return up, sum(op.macs for op in ops) - up


def shares(ops):
    up, rest = split(ops)
    return up / (up + rest), 4 * up / (4 * up + rest)


def counted_ratio(channels, scale):
    shapes = (1, channels, 64, 96), (1, channels, 64 // scale, 96 // scale)
    layers = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 3, padding=1)
    point, window = (cost.count(*pair).macs for pair in zip(layers, shapes, strict=True))
    return point / window


class Graph(nn.Module):
    """Makes results of so many bytes and reads earlier ones, for PyTorch to be watched."""

    def __init__(self, made, reads):
        super().__init__()
        self.made, self.reads = made, reads
        self.last = {j: i for i, read in enumerate(reads) for j in read}

    def forward(self, x):
        made = {}
        for i, (size, read) in enumerate(zip(self.made, self.reads, strict=True)):
            made[i] = x.new_empty(size, dtype=torch.uint8)
            for j in set(read):
                if self.last[j] == i:
                    del made[j]
        return made[len(self.made) - 1]


def watched(made, reads):
    return cost.count(Graph(made, reads), (1,)).peak_bytes


def alive(made, reads, before=False, first=False):
    """Lets go before the result is there, or at the first reader."""
    last = {j: i for i, read in enumerate(reads) for j in read}
    if first:
        last = {}
        for i, read in enumerate(reads):
            last |= {j: i for j in read if j not in last}
    now = most = 0
    for i, size in enumerate(made):
        gone = sum(made[j] for j in set(reads[i]) if last[j] == i)
        now += size - gone if before else size
        most = max(most, now)
        now -= 0 if before else gone
    return most


def neighbours(made, reads):
    return max(a + b for a, b in zip(made, [0, *made], strict=False))


def let_go_twice(made, reads):
    now = most = 0
    for i, size in enumerate(made):
        now += size
        most = max(most, now)
        now -= sum(made[j] for j in reads[i])
    return most


def key_error(made, reads):
    return {}["last"]


def timer(warm=1, turns=True, before=True, after=True, clocks=1, extra=0):
    def race(calls, rounds, clock, wait):
        times = {name: [] for name in calls}
        order = [(turn, name) for turn in range(rounds + warm) for name in calls]
        for turn, name in order if turns else sorted(order, key=lambda pair: pair[1]):
            if before:
                wait()
            began = clock()
            calls[name]()
            if after:
                wait()
            if turn >= warm - extra:
                times[name].append(clock() - began)
        return times

    return race


def not_a_difference(calls, rounds, clock, wait):
    times = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            call()
            wait()
            if turn:
                times[name].append(clock())
    return times


def by_ordered_dict(places, lines, oldest=False):
    cache, missed = OrderedDict(), 0
    for line in (place // 16 for place in places):
        if line in cache and not oldest:
            cache.move_to_end(line)
        missed += line not in cache
        cache.setdefault(line)
        while len(cache) > lines:
            cache.popitem(last=False)
    return missed


def point(op, seconds, peak, bandwidth):
    x, w = torch.empty(op.input), torch.empty(op.weight)
    y = F.conv2d(x, w, padding=op.weight[-1] // 2, groups=op.input[1] // op.weight[1])
    operations, moved = 2 * op.macs, x.nbytes + w.nbytes + y.nbytes
    floor = max(operations / peak, moved / bandwidth)
    return moved, operations / moved, operations / seconds, floor / seconds


def changed(place, change):
    """The right point with one of its numbers changed."""

    def answer(op, seconds, peak, bandwidth):
        found = list(point(op, seconds, peak, bandwidth))
        found[place] = change(found, op, seconds, peak, bandwidth)
        return found

    return answer


def two_floors(ops, peak):
    kinds = [(op, op.kind == "convolution" and op.weight[-2:] == (3, 3)) for op in ops]
    least = sum(op.macs / 4 if small else op.macs for op, small in kinds)
    return 2 * sum(op.macs for op in ops) / peak, 2 * least / peak


def second(change):
    return lambda ops, peak: (two_floors(ops, peak)[0], change(*two_floors(ops, peak)))


RIGHT = {
    "one_by_one_against_three_by_three": counted_ratio,
    "share_of_transposed": shares,
    "most_alive": watched,
    "race": timer(warm=2),
    "misses": by_ordered_dict,
    "roofline_point": point,
    "floors": two_floors,
}
WRONG = [
    ("one_by_one_against_three_by_three", lambda c, scale: 1 / 9, "far fewer positions"),
    ("one_by_one_against_three_by_three", lambda c, scale: scale / 9, "and.*height"),
    ("one_by_one_against_three_by_three", lambda c, scale: 9 / scale**2, "the other layer"),
    ("one_by_one_against_three_by_three", lambda c, scale: 7.0, "positions x weights"),
    ("share_of_transposed", lambda o: (split(o)[0] / split(o)[1], shares(o)[1]), "over the MACs"),
    ("share_of_transposed", lambda ops: (shares(ops)[0], 4 * shares(ops)[0]), "in its total"),
    ("share_of_transposed", lambda ops: (shares(ops)[0], 0.5), "by 4"),
    ("most_alive", key_error, "no reader"),
    ("most_alive", lambda made, reads: sum(made), "as in training"),
    ("most_alive", neighbours, "skip connection"),
    ("most_alive", lambda made, reads: alive(made, reads, first=True), "last reader"),
    ("most_alive", lambda made, reads: alive(made, reads, before=True), "before you let them go"),
    ("most_alive", lambda made, reads: max(made), "largest single"),
    ("most_alive", let_go_twice, "last reader|too early"),
    ("most_alive", lambda made, reads: alive(made, reads) - 1, "too early"),
    ("most_alive", lambda made, reads: alive(made, reads) + 1, "nobody reads"),
    ("race", lambda calls, rounds, clock, wait: [1.0], "dictionary"),
    ("race", timer(extra=1), "must not be in it"),
    ("race", timer(warm=1, extra=-1), "list of 'a' has 3"),
    ("race", timer(warm=0), "very first call"),
    ("race", not_a_difference, "right before"),
    ("race", timer(turns=False), "not in turns"),
    ("race", timer(before=False, after=False), "still running"),
    ("race", timer(after=False), "The work was still running"),
    ("misses", lambda places, lines: len({p // 16 for p in places}), "never runs full"),
    ("misses", lambda places, lines: len(places), "costs nothing"),
    ("misses", lambda places, lines: len(set(places)), "Count lines|costs nothing"),
    ("misses", lambda p, n: by_ordered_dict(p, n, oldest=True), "came"),
    ("misses", lambda p, n: by_ordered_dict(p, n - 1), "too few"),
    ("misses", lambda p, n: by_ordered_dict(p, n + 1), "too many"),
    ("misses", lambda p, n: by_ordered_dict(p, n) + 1, "which one goes"),
    ("roofline_point", changed(0, lambda f, op, *_: f[0] / 4), "four bytes"),
    ("roofline_point", changed(0, lambda f, op, *_: f[0] - 4 * math.prod(op.input)), "the input"),
    ("roofline_point", changed(0, lambda f, op, *_: f[0] - 4 * math.prod(op.weight)), "weights"),
    ("roofline_point", changed(0, lambda f, op, *_: f[0] - 4 * math.prod(op.output)), "output"),
    ("roofline_point", changed(0, lambda f, *_: 2 * f[0]), "how many bytes each"),
    ("roofline_point", changed(1, lambda f, *_: f[1] / 2), "Step 2: one MAC"),
    ("roofline_point", changed(1, lambda f, *_: 1 / f[1]), "not bytes for each"),
    ("roofline_point", changed(1, lambda f, *_: 3 * f[1]), "Step 2: operations divided"),
    ("roofline_point", changed(2, lambda f, *_: f[2] / 2), "Step 3: one MAC"),
    ("roofline_point", changed(2, lambda f, *_: 3 * f[2]), "divided by seconds"),
    ("roofline_point", changed(3, lambda f, op, s, peak, b: f[2] / peak), "always the peak"),
    ("roofline_point", changed(3, lambda f, op, s, p, b: f[2] / max(p, f[1] * b)), "smaller one"),
    ("roofline_point", changed(3, lambda f, *_: 1 / f[3]), "not bound over speed"),
    ("roofline_point", changed(3, lambda f, *_: 3 * f[3]), "Speed over it"),
    ("floors", lambda ops, peak: [x / 2 for x in two_floors(ops, peak)], "two operations"),
    ("floors", lambda ops, peak: (two_floors(ops, peak)[0] / 2, 1.0), "As written"),
    ("floors", lambda ops, peak: (1 / two_floors(ops, peak)[0], 1.0), "pictures a second"),
    ("floors", second(lambda a, b: a / 4), "Not every layer"),
    ("floors", second(lambda a, b: a - 4 / 3 * (a - b)), "still needed"),
    ("floors", second(lambda a, b: a - (a - b) / 3), "what stays"),
    ("floors", second(lambda a, b: 1.0), "which of the operations"),
    ("floors", lambda ops, peak: (1.0, 1.0), "operations a second"),
]
test_right_answers, test_wrong_answers = laws(RIGHT, WRONG)
