"""What must hold before any test module is imported."""

from __future__ import annotations

import os

import torch

# Without a card the kernels run under Triton's interpreter. Triton's own library reads this when it is first imported,
# and many modules import it (the compiler, `transformers`), so it is set here and not beside the kernels' tests.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
