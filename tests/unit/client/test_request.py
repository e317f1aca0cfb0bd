from llm_client.request import Message, Options, chat_request, prompt_request
from llm_client.v1 import inference_pb2 as pb


def test_what_is_not_set_is_left_to_the_server() -> None:
    request = prompt_request("hi", Options(token_ids=False))
    for field in ("temperature", "top_p", "top_k", "seed"):
        assert not request.sampling.HasField(field)
    assert not request.stopping.HasField("max_new_tokens")


def test_zero_is_a_value_and_not_absence() -> None:
    request = prompt_request("hi", Options(temperature=0.0, seed=0, top_k=0))
    assert [request.sampling.HasField(name) for name in ("temperature", "seed", "top_k")] == [
        True,
        True,
        True,
    ]


def test_every_option_reaches_the_message() -> None:
    options = Options(
        model="demo",
        temperature=0.5,
        top_p=0.25,
        top_k=3,
        seed=2**64 - 1,
        max_new_tokens=9,
        min_new_tokens=2,
        stop_token_ids=(7,),
        stop_strings=("x",),
        include_stop_string=True,
        ignore_eos=True,
        token_ids=True,
        include_special_tokens=True,
        request_id="id",
    )
    assert prompt_request([1, 2], options) == pb.GenerateRequest(
        request_id="id",
        model="demo",
        token_ids=pb.TokenIds(ids=[1, 2]),
        sampling=pb.Sampling(temperature=0.5, top_p=0.25, top_k=3, seed=2**64 - 1),
        stopping=pb.Stopping(
            max_new_tokens=9,
            min_new_tokens=2,
            stop_token_ids=[7],
            stop_strings=["x"],
            include_stop_string=True,
            ignore_eos=True,
        ),
        response=pb.ResponseOptions(token_ids=True, include_special_tokens=True),
    )


def test_a_question_is_a_conversation_of_one_message() -> None:
    request = chat_request("Hello?", Options())
    assert request.chat == pb.Chat(messages=[pb.ChatMessage(role="user", content="Hello?")])


def test_a_conversation_keeps_its_turns() -> None:
    turns = [Message("system", "Be kind."), Message("user", "Hi"), Message("assistant", "Hello")]
    sent = chat_request(turns, Options()).chat.messages
    assert [(turn.role, turn.content) for turn in sent] == [
        (turn.role, turn.content) for turn in turns
    ]


def test_an_empty_prompt_is_still_a_prompt() -> None:
    assert prompt_request("", Options()).WhichOneof("prompt") == "text"
    assert prompt_request([], Options()).WhichOneof("prompt") == "token_ids"
