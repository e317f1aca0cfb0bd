import pytest

from llm_runtime.errors import ModelError, Reason
from llm_runtime.tokenizer.chat import ChatError, ChatTemplate, Message
from llm_runtime.tokenizer.codec import SpecialText

SPECIAL = SpecialText(bos="<s>", eos="</s>")
TALK = [Message("system", "Be kind."), Message("user", "Hello!")]


def render(source: str, messages: list[Message] | None = None, limit: int = 1000) -> str:
    return ChatTemplate(source, SPECIAL).render(messages or TALK, limit)


def test_messages_are_rendered_up_to_the_assistants_turn() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}"
        "[{{ m['role'] }}]{{ m.content | trim }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    assert render(source) == "<s>[system]Be kind.</s>[user]Hello!</s>[assistant]"


def test_blocks_leave_no_lines_behind_as_on_the_hub() -> None:
    assert render("{% for m in messages %}\n  {% if true %}\nx\n  {% endif %}\n{% endfor %}") == (
        "x\nx\n"
    )


def test_loop_controls_namespaces_and_json_work() -> None:
    source = (
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{% if ns.n == 2 %}{% break %}{% endif %}{{ m | tojson }}{% endfor %}"
    )
    assert render(source) == '{"role": "system", "content": "Be kind."}'


def test_characters_beyond_ascii_stay_as_they_are_in_json() -> None:
    assert render("{{ messages[0].content | tojson }}", [Message("user", "é<€>")]) == '"é<€>"'


def test_what_the_template_refuses_is_said_in_the_authors_words() -> None:
    with pytest.raises(ChatError, match="refuses the messages: No tools here"):
        render("{{ raise_exception('No tools here') }}")


def test_a_template_that_fails_does_not_repeat_the_messages() -> None:
    with pytest.raises(ChatError) as caught:
        render("{{ messages[5].content }}{{ undefined.attribute }}")
    assert "Hello" not in str(caught.value)


def test_too_long_an_output_is_stopped_while_it_is_written() -> None:
    with pytest.raises(ChatError, match="longer than the model's context"):
        render("{% for i in range(9000) %}{{ messages[0].content }}{% endfor %}", limit=100)


def test_nested_loops_over_range_end() -> None:
    nested = "{% for a in range(500) %}{% for b in range(500) %}{% for c in range(500) %}"
    with pytest.raises(ChatError):
        render(nested + "{% endfor %}" * 3)


@pytest.mark.parametrize(
    "payload",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ dict.__base__.__subclasses__() }}",
        "{{ (messages | attr('__class__')) }}",
        "{{ ''['__class__'] }}",
        "{{ '{0.__class__.__mro__}'.format(messages) }}",
        "{{ '%s' | format(messages.__init__.__globals__) }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ range.__call__.__globals__ }}",
        "{{ strftime_now.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ messages[0].pop('role') }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}{{ os }}",
        "{% extends 'x' %}",
        "{{ joiner }}{{ joiner.__init__ }}",
        "{{ config }}{{ request.application }}",
        "{{ get_flashed_messages.__globals__ }}",
        "{% for k in messages[0].__iter__.__self__.__class__.__mro__ %}{{ k }}{% endfor %}",
    ],
)
def test_no_payload_leaves_the_sandbox(payload: str) -> None:
    try:
        text = render(payload)
    except (ChatError, ModelError):
        return
    for leak in ("class", "module", "root:", "uid=", "function", "built-in", "0x"):
        assert leak not in text


def test_the_messages_are_not_changed_by_a_template() -> None:
    talk = [Message("user", "one"), Message("user", "two")]
    with pytest.raises(ChatError):
        render("{{ messages.clear() }}", talk)
    assert talk == [Message("user", "one"), Message("user", "two")]


def test_a_template_that_does_not_compile_is_refused_at_load() -> None:
    with pytest.raises(ModelError, match="does not compile") as caught:
        ChatTemplate("{% for %}", SPECIAL)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED


DEEP = "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}"


@pytest.mark.parametrize("source", ["{{ (7 ** 3000000) | string | length }}", DEEP])
def test_a_template_whose_constants_fail_is_refused_at_load(source: str) -> None:
    with pytest.raises(ModelError, match="does not compile") as caught:
        ChatTemplate(source, SPECIAL)
    assert caught.value.reason is Reason.MODEL_LOAD_FAILED
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "source",
    [
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ (messages * 10 ** 15) | length }}",
    ],
)
def test_whatever_a_template_fails_with_is_the_requests_error_alone(source: str) -> None:
    with pytest.raises(ChatError, match=r"failed with \w+$"):
        render(source)


def test_a_template_of_absurd_length_is_refused_at_load() -> None:
    with pytest.raises(ModelError, match="at most 262144 are allowed"):
        ChatTemplate("x" * 262_145, SPECIAL)
