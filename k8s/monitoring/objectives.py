"""What the service promises, and the recording rules that measure it.

The figures are starting points: how long a search may take is for whoever pays for it to say. Change them here and
write the files anew. The method is the multi-window burn rate of Google's SRE workbook (chapter 5).
"""

from __future__ import annotations

from dataclasses import dataclass

AVAILABILITY = 0.995
"""Share of requests, without those that are the client's own fault (4xx), that must not end in a 5xx."""

SLOW_SECONDS, WITHIN = 60, 0.95
"""Of the requests that are answered, this share must be within so many seconds: a bucket's edge."""

SEARCHING = 'route=~"/v1/(chat/)?completions"'
ANSWERED = f'{SEARCHING},status="200"'

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")

_COUNT, _BUCKET = "mcts_request_duration_seconds_count", "mcts_request_duration_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording rule."""

    name: str
    expression: str


def _errors(window: str) -> str:
    failed = f'sum by (job) (rate({_COUNT}{{{SEARCHING},status=~"5.."}}[{window}]))'
    return f'{failed} / (sum by (job) (rate({_COUNT}{{{SEARCHING},status!~"4.."}}[{window}])) > 0)'


def _slow(window: str) -> str:
    fast = f'sum by (job) (rate({_BUCKET}{{{ANSWERED},le="{SLOW_SECONDS}.0"}}[{window}]))'
    return f"1 - {fast} / (sum by (job) (rate({_COUNT}{{{ANSWERED}}}[{window}])) > 0)"


def _failures(calls: str) -> str:
    failed = f'sum by (job) (rate({calls}_count{{outcome="failed"}}[5m]))'
    return f'{failed} / (sum by (job) (rate({calls}_count{{outcome!="cancelled"}}[5m])) > 0)'


RECORDINGS = [
    *(Recording(f"job:mcts_request_errors:ratio_rate{window}", _errors(window)) for window in WINDOWS),
    *(Recording(f"job:mcts_slow_requests:ratio_rate{window}", _slow(window)) for window in WINDOWS),
    Recording("job:mcts_engine_call_failures:ratio_rate5m", _failures("mcts_engine_call_duration_seconds")),
    Recording("job:mcts_reward_call_failures:ratio_rate5m", _failures("mcts_reward_call_duration_seconds")),
    Recording(
        "job:mcts_cache_hits:ratio_rate30m",
        "sum by (job) (rate(mcts_cached_tokens_total[30m])) / (sum by (job) (rate(mcts_prefix_tokens_total[30m])) > 0)",
    ),
    Recording(
        "job:mcts_turned_away:ratio_rate5m",
        'sum by (job) (rate(mcts_searches_turned_away_total{reason!="key_limit"}[5m])) / '
        '((sum by (job) (rate(mcts_searches_turned_away_total{reason!="key_limit"}[5m])) '
        "+ sum by (job) (rate(mcts_queue_duration_seconds_count[5m]))) > 0)",
    ),
    Recording("job:mcts_queue:used", "sum by (job) (mcts_searches_waiting) / (sum by (job) (mcts_queue_places) > 0)"),
    Recording("job:mcts_generated_tokens:rate5m", "sum by (job) (rate(mcts_generated_tokens_total[5m]))"),
]
