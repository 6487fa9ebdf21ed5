"""What the fuzzers begin with: pieces that the readers look for, and whole texts that they understand."""

from __future__ import annotations

from server.thoughts import FORMATS

MARKS = [each for marks in FORMATS for each in (marks.begin, marks.end, marks.answer_begin, marks.answer_end) if each]

PIECES = [
    "\\boxed{", "}", "{", "\\}", "\\{", "\\\\", "\\frac", "\\sqrt[", "^", "_", "$", "\\[", "\\]",
    "<answer>", "</answer>", "####", "The answer is", "answer:", "答案是", '{"answer": ', '"answer"', ": ", "[", "]",
    '"', "\n", "\n\n", " ", "1", "-2.5", "1,000", "3/4", "x", "²", "½", "\ufffd", "\u2028", "\x00",
    "🤔", "\u202e", "e\u0301", "∞", *MARKS,
    "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>", '{"name": "add", "arguments": {',
    '"parameters": ', "look_up", "data: ", ": keep-alive", "\r\n", "\r", "[DONE]", "NaN", "1e999", "\\ud800",
    '"messages": ', '"role": "user"', '"content": ', '"search": ', '"strategy": "uct"', '"stop": ', '"tools": ', "null",
]  # fmt: skip

_CHAT = '{"model": "abacus", "messages": [{"role": "user", "content": "1 + 1?"}]'
_CALL = '{"name": "add", "arguments": {"a": 1, "b": [2, {"c": null}]}}'

SEEDS: dict[str, list[str]] = {
    "answers": [
        "So 2 + 2 = 4.\n\nThe answer is \\boxed{\\frac{3}{4}}.",
        "<answer>1,000.50</answer>",
        'thus {"answer": "x^2 + 1"}',
        "#### -12\nResult: \\{1, 2\\}",
        "The final answer is: $\\sqrt{2}$ apples.",
    ],
    "thoughts": [
        "<think>first\n2 + 2</think>\n\nThe answer is 4.",
        "<Thought>a</Thought>\n<Output>b</Output> c",
        "no thought </think> here <think>",
    ],
    "stream": ['data: {"a": "b"}\n\n: keep-alive\n\ndata: [DONE]\n\n', "data: 1\r\n\r\ndata: 2\r\n\r\n"],
    "calls": [
        f"Let me see. <tool_call>\n{_CALL}\n</tool_call> and <tool_call>{_CALL}",
        f"[TOOL_CALLS][{_CALL}, {_CALL}]",
        '[TOOL_CALLS]add[ARGS]{"a": 1}[TOOL_CALLS]look_up{}',
        '<|python_tag|>{"name": "add", "parameters": {}}; {"name": "look_up", "parameters": {"q": "x"}}',
    ],
    "body": [
        _CHAT + "}",
        _CHAT + ', "search": {"strategy": "uct", "budget": {"simulations": 4}}, "stop": ["a"], "n": 2, "stream": true}',
        _CHAT + ', "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]}',
        _CHAT + ', "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}',
    ],
}
