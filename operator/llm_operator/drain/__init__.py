"""Which pod leaves when there are too many, and how: drained first, and reversibly."""
