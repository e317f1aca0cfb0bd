"""Calls that are passed on: the client notices nothing of the activator."""

from support.activation import Activation, ask


async def test_a_unary_call_reaches_the_pod_and_its_answer_the_client(
    activation: Activation,
) -> None:
    pod = await activation.pod()
    await activation.show(pod)

    answer = await activation.client().Generate(ask("one"), timeout=10)

    assert answer.text == "one"
    assert pod.prompts == ["one"]
