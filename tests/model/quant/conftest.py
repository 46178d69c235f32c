from __future__ import annotations

import os

import torch

# Without a card the kernels run under Triton's interpreter; it is chosen when they are decorated, so before any import.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
