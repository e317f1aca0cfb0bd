import asyncio
from pathlib import Path

from llm_client import Answer, Client, FinishReason, Options, connect
from llm_runtime.tokenizer.codec import Codec
from support.runtime_pod import running_pod

QUESTIONS = (
    "translate to French: forty-two",
    "translate to English: cent trente-sept",
    "write python: a function that adds left and right",
    "What is the capital of Norway?",
)
SENTENCE = "The committee met on 14 March 2023 in Lyon, and Marie Curie spoke for two hours. "


def prompts(count: int) -> list[str]:
    """Prompts of very different lengths, from one step to several chunks."""
    return [
        QUESTIONS[index % 4] if index % 3 else SENTENCE * (1 + index // 3) for index in range(count)
    ]


def options(index: int, temperature: float) -> Options:
    return Options(
        max_new_tokens=8 + 9 * index, ignore_eos=True, temperature=temperature, top_k=40, seed=index
    )


async def streamed(client: Client, prompt: str, how: Options) -> tuple[str, list[int]]:
    text, ids = "", list[int]()
    async for chunk in client.stream(prompt, how):
        text += chunk.text
        ids += chunk.token_ids
    return text, ids


async def solo(client: Client, prompt: str, how: Options) -> tuple[str, list[int]]:
    answer = await client.generate(prompt, how)
    return answer.text, list(answer.token_ids)


async def check_concurrent_equals_solo(artifact: Path, temperature: float) -> None:
    asked = [(prompt, options(index, temperature)) for index, prompt in enumerate(prompts(16))]
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        together = await asyncio.gather(*(streamed(client, *each) for each in asked))
        most = max(len(step.rows) for step in pod.gate.steps)
        alone = [await solo(client, *each) for each in asked]
    assert most >= 8, "the streams never ran together"
    assert len({len(ids) for _, ids in together}) == 16
    assert together == alone


async def test_sixteen_streams_of_different_lengths_equal_their_solo_runs(artifact: Path) -> None:
    await check_concurrent_equals_solo(artifact, temperature=0.0)


async def test_sixteen_sampled_streams_equal_their_solo_runs(artifact: Path) -> None:
    await check_concurrent_equals_solo(artifact, temperature=1.0)


async def test_prompts_are_prefilled_beside_decoding_sequences_in_one_step(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        await asyncio.gather(*(streamed(client, prompt, options(9, 0.0)) for prompt in prompts(8)))
        widths = [[len(row.tokens) for row in step.rows] for step in pod.gate.steps]
    assert any(1 in step and max(step) > 1 for step in widths)


async def test_pieces_of_a_stream_add_up_to_the_whole_answer(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        for question in QUESTIONS:
            whole = await client.chat(question)
            pieces = [chunk async for chunk in client.stream_chat(question)]
            assert "".join(piece.text for piece in pieces) == whole.text
            assert pieces[0].prompt_tokens == whole.prompt_tokens
            assert pieces[-1].finish == whole.finish
            assert whole.finish.reason is FinishReason.STOP


async def test_characters_of_several_bytes_never_arrive_in_pieces(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        how = Options(temperature=2.0, seed=2, max_new_tokens=120, ignore_eos=True)
        text, ids = await streamed(client, "é à ü €", how)
    assert len(ids) == 120
    codec = Codec.load(artifact)
    long = [each for each in text if len(codec.encode(each, add_special=False)) > 1]
    assert set(long) - {"\ufffd"}, "the answer has no character that could come in pieces"
    assert text == codec.decode(ids)


async def test_a_stop_string_ends_the_stream_and_never_shows(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        free = await client.chat(QUESTIONS[2])
        stop = free.text[5:9]
        pieces = [
            chunk async for chunk in client.stream_chat(QUESTIONS[2], Options(stop_strings=(stop,)))
        ]
    assert "".join(piece.text for piece in pieces) == free.text[: free.text.index(stop)]
    finish = pieces[-1].finish
    assert finish is not None
    assert (finish.reason, finish.stop_string) == (FinishReason.STOP, stop)


async def test_an_included_stop_string_is_the_end_of_the_text(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        free = await client.chat(QUESTIONS[2])
        stop = free.text[5:9]
        how = Options(stop_strings=(stop,), include_stop_string=True)
        answer = await client.chat(QUESTIONS[2], how)
    assert answer.text == free.text[: free.text.index(stop) + len(stop)]


async def test_the_least_number_of_tokens_is_reached(artifact: Path) -> None:
    async with running_pod(artifact) as pod, connect(pod.target) as client:
        short = await client.chat(QUESTIONS[3])
        least = short.finish.output_tokens + 20
        answer = await client.chat(QUESTIONS[3], Options(min_new_tokens=least))
    assert answer.finish.output_tokens > least


async def test_special_tokens_show_only_when_asked_for(artifact: Path) -> None:
    async def end(client: Client, *, shown: bool) -> Answer:
        how = Options(ignore_eos=True, max_new_tokens=60, include_special_tokens=shown)
        return await client.chat(QUESTIONS[0], how)

    async with running_pod(artifact) as pod, connect(pod.target) as client:
        assert "<|end|>" not in (await end(client, shown=False)).text
        assert "<|end|>" in (await end(client, shown=True)).text


async def test_the_model_says_what_it_is(artifact: Path) -> None:
    digest = "sha256:" + "a" * 64
    async with (
        running_pod(artifact, model_digest=digest, max_context_length=100, max_queue=7) as pod,
        connect(pod.target) as client,
    ):
        info = await client.model_info()
    assert (info.model, info.artifact_digest, info.family) == ("demo", digest, "llama")
    assert (info.max_context_length, info.max_concurrent_sequences, info.max_queue) == (100, 16, 7)
    assert info.has_chat_template
