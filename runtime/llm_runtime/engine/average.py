"""A mean that follows the latest values. Pure."""


class MovingAverage:
    """The plain mean of the first values; later each one moves it by a fixed share.

    Attributes:
        count: values so far.
        mean: 0 before the first one, then between the smallest and the largest.
    """

    def __init__(self, window: int = 32) -> None:
        self._window = window
        self.count = 0
        self.mean = 0.0

    def add(self, value: float) -> None:
        """Notes a value."""
        self.count += 1
        self.mean += (value - self.mean) / min(self.count, self._window)
