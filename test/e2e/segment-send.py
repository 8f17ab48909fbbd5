"""Sends one call of each kind, or `count` tracks, with Segment's SDK: compressed, and tried again by the SDK itself."""
import sys

import segment.analytics as analytics

url, write_key, label, count = sys.argv[1:]
failures = []

analytics.host = url
analytics.write_key = write_key
analytics.gzip = True
analytics.max_retries = 100
analytics.on_error = lambda error, items: failures.append(error)

if count == "kinds":
    analytics.identify(label, {"plan": "é"})
    analytics.track(label, "Order Completed", {"order": 9007199254740993, "total": 1.0})
    analytics.page(label, "docs", "Home")
    analytics.screen(label, "docs", "Home")
    analytics.group(label, "group", {})
    analytics.alias("before", label)
else:
    for number in range(int(count)):
        analytics.track(label, f"{label}-{number}", {"n": 9007199254740993})
analytics.flush()
analytics.shutdown()
print(failures or "sent")
