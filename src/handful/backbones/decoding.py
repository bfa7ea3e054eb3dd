"""Decoding: a language backbone answers, token by token, remembering keys and values of what it has read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from handful.backbones.base import State
from handful.backbones.chat import Tokens
from handful.backbones.language import LanguageBackbone, Sampling, Tell, untold
from handful.seeding import generator

SIDE_BY_SIDE = 16
"""How many rows are answered side by side."""


def answers(
    backbone: LanguageBackbone, prompts: Sequence[Tokens], sampling: Sampling, tell: Tell = untold
) -> list[str]:
    """Answer prompts, those of like length side by side.

    Args:
        backbone: who answers.
        prompts: N conversations that wait for an answer.
        sampling: how tokens are chosen.
        tell: told after every token how many prompts are answered, and how many there are.

    Returns:
        N texts, in the order of the prompts.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids))
    found: dict[int, str] = {}
    for start in range(0, len(order), SIDE_BY_SIDE):
        at = order[start : start + SIDE_BY_SIDE]
        texts: list[list[int]] = [[] for _ in at]
        for step in steps(backbone, [prompts[i] for i in at], sampling):
            for text, token in zip(texts, step, strict=True):
                if token is not None:
                    text.append(token)
            tell(start + step.count(None), len(order))
        tell(start + len(at), len(order))
        found.update((i, backbone.chat.text(text).strip()) for i, text in zip(at, texts, strict=True))
    return [found[i] for i in range(len(prompts))]


class Reply(Iterator[str]):
    """One answer, piece by piece, each told as soon as it is a whole text; and what is known of it so far."""

    def __init__(self, backbone: LanguageBackbone, prompt: Tokens, sampling: Sampling) -> None:
        """Take the prompt; nothing is computed before the first piece is asked for.

        Args:
            backbone: who answers.
            prompt: a conversation that waits for its answer.
            sampling: how tokens are chosen, and how many at most.
        """
        self.prompt = prompt
        self.tokens = 0
        self.ended = False  # by itself, and not because the most tokens were reached
        self._pieces = self._spoken(backbone, sampling)

    def __next__(self) -> str:
        """The next piece."""
        return next(self._pieces)

    def _spoken(self, backbone: LanguageBackbone, sampling: Sampling) -> Iterator[str]:
        ids: list[int] = []
        emitted = ""
        for (token,) in steps(backbone, [self.prompt], sampling):
            if token is None:
                self.ended = True
                break
            ids.append(token)
            self.tokens = len(ids)
            text = backbone.chat.text(ids)
            if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # half a letter waits for its other half
                yield text[len(emitted) :]
                emitted = text
        rest = backbone.chat.text(ids)[len(emitted) :]
        if rest:
            yield rest


@torch.inference_mode()
def steps(backbone: LanguageBackbone, prompts: Sequence[Tokens], sampling: Sampling) -> Iterator[list[int | None]]:
    """The next token of every row, again and again; None for rows that have ended, for all of them only as the last.

    Args:
        backbone: who answers.
        prompts: B conversations.
        sampling: how tokens are chosen, and how many at most.
    """
    from transformers import DynamicCache, LogitsProcessor, NoRepeatNGramLogitsProcessor

    guards: list[LogitsProcessor] = [NoRepeatNGramLogitsProcessor(sampling.unrepeated)] if sampling.unrepeated else []
    said = torch.zeros(len(prompts), 0, dtype=torch.long, device=backbone.device)  # (B, answered so far)
    rng = generator(sampling.seed, "decoding")
    state = _padded_left(backbone, prompts)
    assert state.mask is not None
    mask, past = state.mask, DynamicCache()
    open_rows = np.ones(len(prompts), bool)
    for _ in range(sampling.most):
        state = replace(state, past=past, mask=mask)
        for block in backbone.blocks:
            state = block(state)
        scores = backbone.scores(state.x[:, -1]).float()  # (B, V)
        for guard in guards:  # what the prompt says may be said: the guard sees the answer alone
            scores = guard(said, scores)
        token = _next(scores, sampling, rng)  # (B,)
        said = torch.cat([said, torch.from_numpy(token)[:, None].to(said)], 1)
        ended = np.isin(token, list(backbone.chat.stops))
        open_rows &= ~ended
        yield [int(t) if is_open else None for t, is_open in zip(token, open_rows, strict=True)]
        if not open_rows.any():
            return
        mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], 1)
        if mask.shape[1] >= backbone.context:
            return
        state = State(backbone.embed(torch.from_numpy(token)[:, None].to(backbone.device), mask), mask)


def _padded_left(backbone: LanguageBackbone, prompts: Sequence[Tokens]) -> State:
    longest = max(len(prompt.ids) for prompt in prompts)
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    mask = torch.zeros(len(prompts), longest)
    for i, prompt in enumerate(prompts):
        ids[i, longest - len(prompt.ids) :] = torch.tensor(prompt.ids)
        mask[i, longest - len(prompt.ids) :] = 1
    return backbone.stem((ids, mask))


def _next(scores: Tensor, sampling: Sampling, rng: np.random.Generator) -> np.ndarray:
    """The most likely token, or one drawn by its probability (the Gumbel-max trick). (B, V) → (B,)."""
    if sampling.temperature > 0:
        noise = torch.from_numpy(rng.gumbel(size=scores.shape)).to(scores)
        scores = scores / sampling.temperature + noise
    return scores.argmax(-1).cpu().numpy()
