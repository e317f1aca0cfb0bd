"""`python -m llm_operator.activator`; see `llm_operator.activator.process.run`."""

from llm_operator.entrance import enter

if __name__ == "__main__":
    enter("llm_operator.activator.process")
