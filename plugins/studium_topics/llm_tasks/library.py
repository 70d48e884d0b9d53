"""The same template and the same adapter in the libraries: `transformers` and `peft`. Nothing is downloaded."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from studium_topics.llm_tasks import tape
from studium_topics.llm_tasks.model import SCALE, LowRank

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '[' + message['role'].upper() + '] ' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + ' [END] ' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + ' [END] ' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '[ASSISTANT] ' }}{% endif %}"
)


def library_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of transformers with the words of this lesson and a chat template.

    Raise ImportError where transformers is not installed.
    """
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(tape.NUMBERS))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words, chat_template=TEMPLATE)


def peft_model(base: nn.Module, adapted: nn.Module) -> PeftModel:
    """Return peft's model of a base with the factors of `adapted`, which `adapt` made from that base.

    Raise ImportError where peft is not installed.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import Linear

    factors = [module for module in adapted.modules() if isinstance(module, LowRank)]
    rank = len(factors[0].a)
    names = sorted({name.rpartition(".")[2] for name, part in base.named_modules() if isinstance(part, nn.Linear)})
    config = LoraConfig(r=rank, lora_alpha=int(SCALE * rank), target_modules=names)
    library = get_peft_model(copy.deepcopy(base), config)
    with torch.no_grad():
        for layer, mine in zip((m for m in library.modules() if isinstance(m, Linear)), factors, strict=True):
            layer.lora_A["default"].weight.copy_(mine.a)
            layer.lora_B["default"].weight.copy_(mine.b)
    return library
