"""The main job against the deployed stack: what the vendor has is what is stored."""

import json

from local.cloud import Cloud
from local.vendor import FakeVendor


def test_a_first_import_stores_what_the_vendor_has(cloud: Cloud, vendor: FakeVendor):
    # GIVEN
    vendor.post("seed", stream="customers", count=120)
    # WHEN
    cloud.settle({"customers": set(vendor.truth("customers", "id"))})
    # THEN
    stored, truth = cloud.records("customers"), vendor.truth("customers")
    assert {each: record["last_edited_ms"] for each, record in stored.items()} == {
        each: record["last_edited_ms"] for each, record in truth.items()
    }
    for each, record in stored.items():
        shown = json.loads(record["body"])
        assert shown.items() <= truth[each]["row"].items()
    assert cloud.queue_depth() == cloud.queue_depth(dead_letters=True) == 0
