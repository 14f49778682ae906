"""One module an engine; each has `serve(cell, chatml)`. Nothing is imported here: an engine's process imports its
own runtime alone. A module's head says which settings were chosen and why.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """An engine that can be measured: its module here, which variant of it, and the distribution that must be
    installed for it. `most` is the most conversations that it is given, and `default` whether it runs unasked."""

    name: str
    module: str
    variant: str
    distribution: str
    most: int = 1_000_000
    default: bool = True

    @property
    def ours(self) -> bool:
        return self.module == "trialogue"


KNOWN = (
    Known("trialogue", "trialogue", "auto", "torch"),
    Known("trialogue-float32", "trialogue", "float32", "torch", default=False),
    Known("llama.cpp", "llama_cpp", "", "xllamacpp"),
    Known("openvino", "openvino_genai", "", "openvino-genai"),
    Known("transformers-batched", "transformers_generate", "batched", "transformers"),
    Known("transformers-continuous", "transformers_continuous", "", "transformers"),
    # one after the other: more people change nothing but the time that it takes
    Known("transformers", "transformers_generate", "one by one", "transformers", most=8),
)
