"""The local cloud: the whole stack on this machine, without Docker and without an AWS account.

`python -m local up | down | invoke | demo | run`; `make local-up`, `make local-down`, `make invoke` and `make demo` call
these. Tests import :class:`local.cloud.Cloud` and :class:`local.vendor.FakeVendor`.
"""
