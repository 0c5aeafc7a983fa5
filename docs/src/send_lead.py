import hashlib, hmac, json, os, sys, urllib.request

url, lead_id, phone, consent = sys.argv[1:5]
body = json.dumps({"id": lead_id, "phone": phone, "consent": consent}).encode()
secret = os.environ["LEAD_WEBHOOK_SECRET"].encode()
signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
request = urllib.request.Request(url, body, headers)
print(urllib.request.urlopen(request).status)
