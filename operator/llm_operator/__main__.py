"""The `llm-operator` command."""

from llm_operator.entrance import enter


def main() -> None:
    """Runs the operator; see `llm_operator.process.run`."""
    enter("llm_operator.process")


if __name__ == "__main__":
    main()
