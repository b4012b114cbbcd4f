"""The guest room: MPAFER and the data sets in a CoOp, MaPLe or PromptSRC checkout. Only here is dassl imported.

Two lines in the checkout's train.py suffice: ``import mpafer`` and, in ``extend_cfg``, ``mpafer.extend_cfg(cfg)``.
"""
