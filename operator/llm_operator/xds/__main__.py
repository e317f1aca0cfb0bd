"""`python -m llm_operator.xds`; see `llm_operator.xds.process.run`."""

from llm_operator.entrance import enter

if __name__ == "__main__":
    enter("llm_operator.xds.process")
