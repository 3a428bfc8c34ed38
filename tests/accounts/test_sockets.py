from accounts.sockets import TokenBucket


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    now = 0.0
    bucket = TokenBucket(10, 20, clock=lambda: now)
    assert [bucket.take() for _ in range(21)] == [True] * 20 + [False]
    now += 0.1
    assert [bucket.take(), bucket.take()] == [True, False]
    now += 3_600
    assert [bucket.take() for _ in range(21)] == [True] * 20 + [False]
