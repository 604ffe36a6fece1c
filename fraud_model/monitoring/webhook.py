"""Notifies a webhook of an alarm, in the JSON that Slack's incoming webhooks take."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from fraud_model.monitoring.result import Check
from fraud_model.monitoring.summary import NextSteps, happened, lines

URL = "ALERT_WEBHOOK"
SECRET = "ALERT_WEBHOOK_SECRET"
# The name and form that GitHub gave it, which receivers know.
SIGNATURE = "X-Hub-Signature-256"

RETRIES = Retry(
    total=3,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,
    # It may ask for an hour.
    respect_retry_after_header=False,
)
SECONDS = 5


def send_alarm(check: Check, steps: NextSteps) -> str:
    """Posts an alarm to ALERT_WEBHOOK, and returns the outcome; an empty text if it is not set.

    With ALERT_WEBHOOK_SECRET the header X-Hub-Signature-256 holds `sha256=` and the hexadecimal
    HMAC-SHA256 of the body. A webhook that does not answer is tried again for some seconds, and
    never makes a check fail. Only the host of its address is named, which is often a secret.
    """
    url = os.environ.get(URL)
    if not url:
        return ""
    told = [line for line in lines(check, steps) if not line.startswith(("note:", "unknown:"))]
    if steps.run:
        told.append(f"  run: {steps.run}")
    action = check.advice.action if check.advice else ""
    content = {
        "text": "\n".join([f"{check.version}: {told[0]}", *told[1:]]),
        "version": check.version,
        "status": check.status,
        "recommended_action": "retrain" if check.retrain else action,
        "findings": [happened(event) for event in check.events],
        "evidence": [f.text for event in check.events for f in event.evidence],
        "run": steps.run,
    }
    body = json.dumps(content).encode()
    headers = {"Content-Type": "application/json"}
    secret = os.environ.get(SECRET)
    if secret:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE] = f"sha256={digest}"
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=RETRIES))
            answer = session.post(url, data=body, headers=headers, timeout=SECONDS, stream=True)
        outcome = "was notified" if answer.ok else f"refused the alarm ({answer.status_code})"
    except (requests.RequestException, ValueError) as error:
        outcome = f"could not be reached ({type(error).__name__})"
    return f"webhook at {urlsplit(url).hostname or 'an invalid address'} {outcome}"
