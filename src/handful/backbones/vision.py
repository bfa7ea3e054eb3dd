"""Any vision model that transformers can load, cut into blocks where its layout is known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoImageProcessor, AutoModel

from handful.backbones.base import Backbone, State, weights_fingerprint
from handful.backbones.hub import located, read_beside, read_model, settings_digest
from handful.data.images import load_image
from handful.errors import HandfulError, WeightsError
from handful.readback import reason

# Where models keep their layers; the first path that exists counts.
_LAYERS = ("layers", "encoder.layers", "encoder.layer", "encoder.stages")

# config.model_type → the norm that closes the layers, for the families in which a layer is a function of the tokens or
# the map alone.
_CLOSING = {
    "vit": "layernorm",
    "deit": "layernorm",
    "dinov2": "layernorm",
    "dinov2_with_registers": "layernorm",
    "clip_vision_model": "post_layernorm",
    "siglip_vision_model": "post_layernorm",
    "convnext": "layernorm",
    "convnextv2": "layernorm",
}

# How far a cut model may be from the whole one, in absolute numbers.
_CLOSE = 1e-4

# Names of the token that stands for the whole picture, in the embeddings of models that have one.
_WHOLE = ("cls_token", "class_embedding")


class VisionBlock(nn.Module):
    """One layer, or a few in a row, as State → State; masks and owners do not occur for pictures."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, state: State) -> State:
        """(B, T, D) → (B, T, D), or (B, C, H, W) → (B, C', H', W')."""
        x = state.x
        for part in self.parts:
            # CLIP's layers want to be told that there is no attention mask; the others do not mind.
            x = part(x, attention_mask=None) if _is_transformer_layer(part) else part(x)
        return State(x)


class MapNorm(nn.Module):
    """The norm that ConvNeXt applies to the mean of its last map: (B, C, H, W) → (B, C, 1, 1)."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Mean over the places, then the norm."""
        normed: Tensor = self.norm(x.mean((2, 3)))
        return normed[:, :, None, None]


class Whole(nn.Module):
    """A model that is not cut: pictures → its last hidden state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, T, D) or (B, C, H, W)."""
        last: Tensor = self.model(pixel_values=pixels).last_hidden_state
        return last


class VisionBackbone(Backbone):
    """A vision model of transformers: depth k is after k layers, the last depth after the closing norm."""

    modality = "image"
    batch_items = 8

    def __init__(self, name: str, model: Any, processor: Any, *details: object) -> None:
        """Cut a model.

        Args:
            name: the folder or hub id.
            model: a vision model as ``AutoModel`` loads it, or one with a ``vision_model`` part.
            processor: its image processor.
            details: what else the features depend on, for the fingerprint.
        """
        model = getattr(model, "vision_model", model).eval()
        self.name, self._processor = name, processor
        embeddings = getattr(model, "embeddings", None)
        self._whole_token = any(getattr(embeddings, token, None) is not None for token in _WHOLE)
        sizes = [getattr(processor, part, None) or {} for part in ("size", "crop_size")]
        sides = [int(side) for size in sizes for side in dict(size).values() if side]
        # Twice the side, so that the processor's own resizing decides how the picture looks.
        self._enough = 2 * max(sides) if sides else None
        self._stem, self.blocks = _cut(model)
        if not self._agrees(model):
            self._stem, self.blocks = Whole(model), ()
        self.transformer = any(_is_transformer_layer(part) for block in self.blocks for part in block.modules())
        last = len(self.blocks)
        self.search_depths = tuple(dict.fromkeys((last, last - 1, last * 3 // 4, last // 2))) if last > 3 else (last,)
        recipe = json.dumps(processor.to_dict(), sort_keys=True, default=str)
        kind = (type(model).__name__, recipe, self._whole_token)
        self.fingerprint = weights_fingerprint(self.modules(), *kind, *details)

    def modules(self) -> Sequence[nn.Module]:
        """The stem and the blocks."""
        return (self._stem, *self.blocks)

    def prepare(self, items: Sequence[Any]) -> Tensor:
        """B pictures as the model's own processor makes them, (B, 3, H, W) float32."""
        pictures = [load_image(item, at_least=self._enough) for item in items]
        pixels: Tensor = self._processor(images=pictures, return_tensors="pt")["pixel_values"]
        return pixels

    def stem(self, batch: Any) -> State:
        """Patches or the first convolution, with positions."""
        return State(self._stem(batch.to(next(self._stem.parameters()).device)))

    @torch.inference_mode()
    def _agrees(self, model: Any) -> bool:
        """Whether the parts give what the whole gives, on one picture."""
        batch = self.prepare([np.linspace(0, 255, 96 * 96).reshape(96, 96).astype(np.uint8)])
        state = self.stem(batch)
        for block in self.blocks:
            state = block(state)
        found = self.pool(state)
        whole = model(pixel_values=batch)
        pooled = [self.pool(State(whole.last_hidden_state)), getattr(whole, "pooler_output", None)]
        return any(p is not None and p.shape == found.shape and bool((p - found).abs().max() < _CLOSE) for p in pooled)

    def pool(self, state: State) -> Tensor:
        """The token that stands for the picture where there is one, otherwise the mean over tokens or places."""
        if state.x.dim() == 4:
            return state.x.mean((2, 3))
        return state.x[:, 0] if self._whole_token else state.x.mean(1)


def load_vision(source: str) -> VisionBackbone:
    """Load a vision model and its image processor.

    Args:
        source: a local folder or a Hugging Face id.

    Raises:
        WeightsError: a file is missing, unreachable or damaged, or the model is no vision model.
    """
    try:
        place = located(source)
        processor = read_beside(AutoImageProcessor, place, backend="pil")
        model, told = read_model(AutoModel, place, dtype=torch.float32, output_loading_info=True)
        _require_vision(model, told["missing_keys"])
        return VisionBackbone(source, model, processor, settings_digest(place))
    except HandfulError:
        raise
    except Exception as error:  # files of another kind make the library raise almost anything
        raise WeightsError(
            f"backbone {source!r} must be a vision model with its image processor that transformers can load, from a "
            f"folder or by its Hugging Face id, got: {reason(error)}. Check the name and the network, or choose a name "
            "from `handful models list`."
        ) from error


def _require_vision(model: Any, missing: Iterable[str]) -> None:
    if getattr(getattr(model, "vision_model", model), "main_input_name", "") != "pixel_values":
        raise TypeError(f"a {type(model).__name__}")
    lacking = sorted(name for name in missing if not name.startswith("pooler."))
    if lacking:
        raise ValueError(f"a checkpoint without {lacking[0]}")
    if missing:  # classifiers of many families are saved without it; drawn at random it is of no use
        model.pooler = None


def _cut(model: Any) -> tuple[nn.Module, tuple[nn.Module, ...]]:
    closing = _CLOSING.get(model.config.model_type)
    layers = next((found for path in _LAYERS if (found := _part(model, path)) is not None), None)
    if closing is None or layers is None:
        return Whole(model), ()
    norm = _part(model, closing)
    stem = nn.Sequential(model.embeddings, *filter(None, [_part(model, "pre_layrnorm")]))
    if hasattr(layers[0], "downsampling_layer"):  # ConvNeXt: stages of layers; a step down opens a stage
        blocks = []
        for stage in layers:
            first, *rest = stage.layers
            blocks += [VisionBlock(*stage.downsampling_layer, first), *(VisionBlock(layer) for layer in rest)]
        return stem, (*blocks, VisionBlock(MapNorm(norm)))
    return stem, (*(VisionBlock(layer) for layer in layers), VisionBlock(norm))


def _part(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name, None)
    return model


def _is_transformer_layer(part: nn.Module) -> bool:
    return hasattr(part, "attention") or hasattr(part, "self_attn")
