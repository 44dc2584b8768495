"""Random numbers: the published generator, the right distributions, repeatable streams."""

import copy
import math
import threading

import numpy as np
import pytest

import chainrule
from chainrule.ops.generator import draw_state
from chainrule.ops.philox import GROUP, draw_normal, draw_uniform, draw_words, philox4x32
from chainrule.ops.random import random_mask

# Known answers from the authors' own library (Random123, kat_vectors, philox4x32 10).
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words_of(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_known_answers_of_philox(counter: str, key: str, answer: str):
    c, (low, high) = words_of(counter), words_of(key)
    x = np.array([[c[0]], [c[2]]], np.uint64)
    y = np.array([[c[1]], [c[3]]], np.uint64)
    philox4x32(x, y, low | high << 32, np.empty_like(x))
    assert [int(each) for each in (x[0, 0], y[0, 0], x[1, 0], y[1, 0])] == words_of(answer)


def philox_in_plain_python(seed: int, block: int) -> list[int]:
    """The same from the paper, one block, without NumPy."""
    c = [block & 0xFFFFFFFF, block >> 32, 0, 0]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k1, p0 & 0xFFFFFFFF]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


@pytest.mark.parametrize("offset", [0, 3, 511, 512, (1 << 28) - 1, 1 << 40])
@pytest.mark.parametrize("count", [1, 100, 64 * 512 + 5])
def test_where_each_word_of_a_draw_comes_from(offset: int, count: int):
    """Word j of group g is word j // 16 of block 16 g + j mod 16."""
    seed = 0x0123456789ABCDEF
    words = draw_words(np.array([seed, offset]), count)
    assert words.shape == (count,)
    for index in {0, 1, 15, 16, 17, 63, 64, 99, count // 2, count - 1}:
        if index < count:
            group, j = offset + index // GROUP, index % GROUP
            expected = philox_in_plain_python(seed, 16 * group + j % 16)[j // 16]
            assert int(words[index]) == expected


def test_the_first_numbers_of_seed_0_stay_what_they_are():
    """Whoever changes these changes the result of every seeded run, and of the compiled code."""
    chainrule.manual_seed(0)
    uniform = chainrule.rand(3)
    words = [philox_in_plain_python(0, lane)[0] for lane in range(3)]
    assert uniform.tolist() == [(word >> 8) * 2.0**-24 for word in words]


def test_normal_numbers_are_box_and_muller_of_the_words():
    state = np.array([7, 9])
    words = draw_words(state, 4 * GROUP).reshape(-1, 2, 2, 16)
    numbers = draw_normal(state, 4 * GROUP, np.dtype(np.float32)).reshape(-1, 2, 2, 16)
    u, turn = words[:, :, 0].astype(float), words[:, :, 1]
    radius = np.sqrt(-2 * np.log((u + 0.5) * 2.0**-32))
    squares = (numbers.astype(float) ** 2).sum(axis=2)
    np.testing.assert_allclose(squares, radius**2, rtol=2e-6)
    angle = ((turn & 0x3FFFFFFF).astype(float) - 2**29) * (2 * math.pi / 2**32)
    sign = np.where(turn >> 31, -1, 1)
    mirrored = (turn >> 30 & 1).astype(bool)
    first = sign * radius * np.where(mirrored, np.sin(angle), np.cos(angle))
    np.testing.assert_allclose(numbers[:, :, 0], first, rtol=1e-5, atol=1e-6)


N = 1 << 18


def kolmogorov_distance(numbers: np.ndarray, distribution) -> float:
    ordered = np.sort(numbers.astype(np.float64).ravel())
    expected = distribution(ordered)
    steps = np.arange(ordered.size + 1) / ordered.size
    return float(max(np.max(steps[1:] - expected), np.max(expected - steps[:-1])))


def normal_distribution(x: np.ndarray) -> np.ndarray:
    return np.array([0.5 * math.erfc(-each / math.sqrt(2)) for each in x])


BOUND = 2.0 / math.sqrt(N)  # exceeded by chance once in 1500 draws; the seeds are fixed


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers_are_uniform(dtype: str):
    u = chainrule.rand(N, dtype=getattr(chainrule, dtype)).numpy()
    assert u.min() >= 0 and u.max() < 1  # noqa: PT018
    assert kolmogorov_distance(u, lambda x: x) < BOUND
    counts = np.histogram(u, bins=256, range=(0, 1))[0]
    chi_squared = ((counts - N / 256) ** 2 / (N / 256)).sum()
    assert abs(chi_squared - 255) < 4 * math.sqrt(2 * 255)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_normal_numbers_are_normal(dtype: str):
    z = chainrule.randn(N, dtype=getattr(chainrule, dtype)).numpy().astype(np.float64)
    assert abs(z.mean()) < 4 / math.sqrt(N)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / N)
    assert abs((z**3).mean()) < 4 * math.sqrt(15 / N)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / N)
    if dtype != "float16":
        assert kolmogorov_distance(z, normal_distribution) < BOUND


@pytest.mark.parametrize("lag", [1, 2, 15, 16, 17, 32, 48, 64, 1024])
def test_neighbours_are_independent(lag: int):
    for draw in (chainrule.rand, chainrule.randn):
        x = draw(N).numpy().astype(np.float64)
        x = (x - x.mean()) / x.std()
        assert abs((x[:-lag] * x[lag:]).mean()) < 4.5 / math.sqrt(N)


def test_consecutive_draws_and_neighbouring_seeds_are_independent():
    streams = [chainrule.rand(N // 4).numpy() for _ in range(4)]
    for seed in range(1, 5):  # the default generator's is 0
        generator = chainrule.Generator().manual_seed(seed)
        streams.append(chainrule.rand(N // 4, generator=generator).numpy())
    correlation = np.corrcoef(np.stack(streams).astype(np.float64)) - np.eye(len(streams))
    assert np.abs(correlation).max() < 4.5 / math.sqrt(N // 4)


def test_no_number_is_drawn_twice():
    """Draws of all sizes one after the other take disjoint pieces of the stream."""
    chainrule.manual_seed(3)
    drawn = [chainrule.rand(n, dtype=chainrule.float64) for n in (1, 31, 32, 33, 64, 65, 1000)]
    together = np.concatenate([each.numpy() for each in drawn])
    assert len(np.unique(together)) == together.size


def test_the_same_seed_gives_the_same_numbers_however_they_are_read():
    draws = (
        lambda: chainrule.rand(5),
        lambda: chainrule.randn(3, 4),
        lambda: chainrule.randint(0, 100, (7,)),
        lambda: chainrule.randperm(9),
        lambda: chainrule.bernoulli(chainrule.full((20,), 0.3)),
        lambda: chainrule.multinomial(chainrule.tensor([1.0, 2.0, 3.0]), 10, replacement=True),
        lambda: chainrule.ones(40).normal_(),
        lambda: chainrule.ones(40).exponential_(),
        lambda: chainrule.ones(40).random_(),
    )
    for draw in draws:
        chainrule.manual_seed(5)
        first, second = draw().tolist(), draw().tolist()
        chainrule.manual_seed(6)
        other = draw().tolist()
        chainrule.manual_seed(5)
        assert draw().tolist() == first
        state = chainrule.get_rng_state()
        assert draw().tolist() == second
        chainrule.set_rng_state(state)
        assert draw().tolist() == second
        assert first != second
        assert first != other


def test_a_generator_leaves_the_default_one_alone():
    before = chainrule.get_rng_state().tolist()
    own = chainrule.Generator().manual_seed(1)
    twin = copy.deepcopy(own)
    a = chainrule.randn(5, generator=own)
    assert chainrule.get_rng_state().tolist() == before
    assert chainrule.randn(5, generator=twin).tolist() == a.tolist()
    assert own.initial_seed() == 1


@pytest.mark.parametrize("seed", [0, 1, -1, 2**63, 2**64 - 1, -(2**63)])
def test_seeds_of_64_bits(seed: int):
    generator = chainrule.Generator().manual_seed(seed)
    assert generator.initial_seed() == seed % 2**64
    chainrule.rand(3, generator=generator)


def test_a_seed_that_does_not_fit_is_refused():
    with pytest.raises(chainrule.errors.ConfigError, match="64 bits"):
        chainrule.manual_seed(2**64)


def test_seed_is_another_each_time():
    assert chainrule.seed() != chainrule.seed()
    assert chainrule.initial_seed() > 0


def test_threads_never_share_numbers():
    results: list[list[float]] = []

    def work() -> None:
        for _ in range(50):
            results.append(chainrule.rand(4, dtype=chainrule.float64).tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [each for row in results for each in row]
    assert len(set(numbers)) == len(numbers) == 800


def test_a_drawn_state_is_a_snapshot():
    state = draw_state(100)
    kept = state.tolist()
    chainrule.rand(1000)
    assert state.tolist() == kept


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_masks_keep_the_share_asked_for(p: float):
    mask = random_mask((512, 512), p)
    assert mask.dtype is chainrule.bool
    assert abs(mask.numpy().mean() - p) <= 4 * math.sqrt(p * (1 - p) / N)


def test_randint_is_uniform_and_within_bounds():
    x = chainrule.randint(-3, 7, (N,)).numpy()
    counts = np.bincount(x + 3, minlength=10)
    assert counts.size == 10
    assert np.abs(counts - N / 10).max() < 4.5 * math.sqrt(N / 10)
    wide = chainrule.randint(-(2**63), 2**63 - 1, (1000,)).numpy()
    assert wide.min() < -(2**60) and wide.max() > 2**60  # noqa: PT018


def test_randperm_is_a_permutation_and_every_place_is_alike():
    assert sorted(chainrule.randperm(1000).tolist()) == list(range(1000))
    places = np.stack([chainrule.randperm(5).numpy() for _ in range(3000)])
    counts = np.stack([np.bincount(places[:, i], minlength=5) for i in range(5)])
    assert np.abs(counts - 600).max() < 4.5 * math.sqrt(600)


def test_bernoulli_and_multinomial_follow_their_probabilities():
    p = chainrule.tensor([0.0, 0.2, 0.7, 1.0])
    share = chainrule.bernoulli(p.expand(20000, 4)).numpy().mean(axis=0)
    np.testing.assert_allclose(share, p.numpy(), atol=0.015)
    weights = chainrule.tensor([[1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0]])
    drawn = chainrule.multinomial(weights, 20000, replacement=True).numpy()
    for row, expected in zip(drawn, weights.numpy()):
        share = np.bincount(row, minlength=4) / 20000
        np.testing.assert_allclose(share, expected / expected.sum(), atol=0.02)
    firsts = [chainrule.multinomial(weights[0], 3).tolist() for _ in range(4000)]
    assert all(sorted(each) == [0, 1, 3] for each in firsts)
    share = np.bincount([each[0] for each in firsts], minlength=4) / 4000
    np.testing.assert_allclose(share, [1 / 8, 2 / 8, 0, 5 / 8], atol=0.035)


def test_in_place_draws_have_their_moments():
    x = chainrule.empty(N)
    assert abs(x.normal_(3, 2).mean().item() - 3) < 0.02
    assert abs(x.std().item() - 2) < 0.02
    x.uniform_(-1, 3)
    assert x.min().item() >= -1 and x.max().item() <= 3  # noqa: PT018
    assert abs(x.mean().item() - 1) < 0.02
    x.exponential_(2)
    assert x.min().item() >= 0
    assert abs(x.mean().item() - 0.5) < 0.01
    assert abs(x.bernoulli_(0.25).mean().item() - 0.25) < 0.01
    whole = chainrule.empty(1000, dtype=chainrule.uint8).random_()
    assert whole.numpy().max() > 200
    assert set(chainrule.empty(100, dtype=chainrule.int64).random_(2, 5).tolist()) == {2, 3, 4}
    assert chainrule.normal(chainrule.zeros(5), chainrule.ones(5)).shape == (5,)
    assert chainrule.normal(2.0, 0.0, (3,)).tolist() == [2.0] * 3


def test_no_gradient_flows_through_a_draw():
    mean = chainrule.zeros(3, requires_grad=True)
    assert not chainrule.normal(mean, 1.0).requires_grad
    assert not chainrule.bernoulli(mean.sigmoid()).requires_grad
    assert chainrule.rand(3, requires_grad=True).requires_grad


def test_uniform_float32_never_reaches_one():
    top = np.full(4, 0xFFFFFFFF, np.uint32) >> np.uint32(8)
    assert (top.astype(np.float32) * np.float32(2.0**-24) < 1).all()
    assert draw_uniform(np.array([0, 0]), 1 << 16, np.dtype(np.float16)).max() < 1
