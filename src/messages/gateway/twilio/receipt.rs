//! Delivery receipts of Twilio (status callbacks), signed by `X-Twilio-Signature`
//! (www.twilio.com/docs/usage/security).
//!
//! The signature is base64 of HMAC-SHA1, keyed by the account's token, over the URL and the sorted form fields.
//! Twilio is inconsistent about the port in the signed URL, so all notations are accepted, as in its own libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded;

use super::message::{parse_status, status_update};
use crate::messages::gateway::{MessageRef, Receipt, ReceiptError, WebhookRequest};
use crate::platform::json::UntrustedJson;
use crate::platform::vault::{constant_time_eq, sha256};

const SIGNATURE: &str = "X-Twilio-Signature";
/// Query parameter with the hash of a body that is not a form.
const BODY_HASH: &str = "bodySHA256";

/// Form fields. The values of a repeated field are signed once each, sorted.
type Fields = BTreeMap<String, BTreeSet<String>>;

/// Authenticates and parses a receipt.
pub(super) fn parse(
    token: &SecretString,
    request: &WebhookRequest<'_>,
) -> Result<Receipt, ReceiptError> {
    let fields = authenticate(token, request)?;
    let field = |name| fields.get(name)?.first().filter(|value| !value.is_empty());
    let sid = field("MessageSid").or_else(|| field("SmsSid"));
    let message = match (query_parameter(request.query, "id"), sid) {
        (Some(id), _) => MessageRef::ClientReference(id),
        (None, Some(sid)) => MessageRef::GatewayId(sid.clone()),
        (None, None) => return Err(ReceiptError::Unreadable("it names no message")),
    };
    let gateway_status = field("MessageStatus").or_else(|| field("SmsStatus"));
    let gateway_status = gateway_status.ok_or(ReceiptError::Unreadable("it has no status"))?;
    let code = field("ErrorCode").and_then(|code| code.parse().ok());
    let update =
        parse_status(gateway_status).map(|status| status_update(status, code, sid.cloned()));
    Ok(Receipt { message, update })
}

/// Checks the signature of a request and returns its fields.
fn authenticate(
    token: &SecretString,
    request: &WebhookRequest<'_>,
) -> Result<Fields, ReceiptError> {
    let signature =
        request.headers.get(SIGNATURE).ok_or(ReceiptError::Forged("it has no signature"))?;
    let body_hash = query_parameter(request.query, BODY_HASH);
    let signed_fields = match &body_hash {
        Some(_) => Fields::new(),
        None => parse_form(request.body),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose_secret().as_bytes());
    let is_genuine = url_notations(&request.url).iter().any(|url| {
        let expected =
            BASE64.encode(hmac::sign(&key, signed_data(url, &signed_fields).as_bytes()).as_ref());
        constant_time_eq(expected.as_bytes(), signature.as_bytes())
    });
    if !is_genuine {
        return Err(ReceiptError::Forged("its signature is wrong"));
    }
    match body_hash {
        None => Ok(signed_fields),
        Some(hash)
            if constant_time_eq(
                hash.as_bytes(),
                HEXLOWER.encode(&sha256(request.body)).as_bytes(),
            ) =>
        {
            parse_json(request.body).ok_or(ReceiptError::Unreadable("its body is no JSON object"))
        }
        Some(_) => Err(ReceiptError::Forged("its body is not the one that was signed")),
    }
}

fn query_parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, value)| key == name && !value.is_empty())?;
    Some(value.into_owned())
}

fn parse_form(body: &[u8]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(body) {
        fields.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    fields
}

fn parse_json(body: &[u8]) -> Option<Fields> {
    let UntrustedJson(Value::Object(object)) = serde_json::from_slice(body).ok()? else {
        return None;
    };
    let fields = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, BTreeSet::from([text]))),
        Value::Number(number) => Some((name, BTreeSet::from([number.to_string()]))),
        _ => None,
    });
    Some(fields.collect())
}

/// The data that is signed.
fn signed_data(url: &str, fields: &Fields) -> String {
    let mut data = url.to_owned();
    for (name, values) in fields {
        for value in values {
            data.push_str(name);
            data.push_str(value);
        }
    }
    data
}

/// Notations of a URL: without the port and with it (the scheme's default if it has none), and both again with the
/// query as Twilio's oldest libraries encode it.
fn url_notations(url: &str) -> Vec<String> {
    let Some((scheme, remainder)) = url.split_once("://") else { return Vec::new() };
    let (authority, path) =
        remainder.split_at(remainder.find(['/', '?', '#']).unwrap_or(remainder.len()));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        _ => (authority, if scheme == "https" { "443" } else { "80" }),
    };
    let paths = [path.to_owned(), with_legacy_query(path)];
    paths
        .iter()
        .flat_map(|path| {
            [format!("{scheme}://{host}{path}"), format!("{scheme}://{host}:{port}{path}")]
        })
        .collect()
}

/// Re-encodes the query of a path as JavaScript's `encodeURIComponent` does.
fn with_legacy_query(path: &str) -> String {
    let Some((path, query)) = path.split_once('?') else { return path.to_owned() };
    let encoded = |text: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            match byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                true => out.push(byte.into()),
                false => write!(out, "%{byte:02X}").expect("a String takes all"),
            }
            out
        })
    };
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value)))
        .collect();
    format!("{path}?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;
    use crate::messages::gateway::{FailureReason, StatusUpdate};
    use crate::messages::status::Status;
    use crate::platform::clock::Timestamp;

    /// Test vectors of Twilio's own libraries (twilio-node, spec/validation.spec.js).
    const TOKEN: &str = "12345";
    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    const FORM: &str = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234\
                        &From=%2B14158675309&To=%2B18005551212";
    const JSON: &str = r#"{"property": "value", "boolean": true}"#;
    const JSON_HASH: &str = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";

    fn headers(signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-twilio-signature", signature.parse().expect("a value"));
        headers
    }

    fn request<'a>(url: &'a str, headers: &'a HeaderMap, body: &'a str) -> WebhookRequest<'a> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        WebhookRequest {
            url: url.into(),
            query,
            headers,
            body: body.as_bytes(),
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn check(url: &str, signature: &str, body: &str) -> Result<Fields, ReceiptError> {
        authenticate(&TOKEN.into(), &request(url, &headers(signature), body))
    }

    const FORGED: ReceiptError = ReceiptError::Forged("its signature is wrong");

    /// Parses a receipt with a valid signature.
    fn parse_signed(url: &str, body: &str) -> Result<Receipt, ReceiptError> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
        let signed =
            if url.contains(BODY_HASH) { Fields::new() } else { parse_form(body.as_bytes()) };
        let signature =
            BASE64.encode(hmac::sign(&key, signed_data(url, &signed).as_bytes()).as_ref());
        parse(&TOKEN.into(), &request(url, &headers(&signature), body))
    }

    #[test]
    fn published_signatures_are_accepted() {
        let http = URL.replace("https", "http");
        let at = |port: &str| URL.replace(".com", &format!(".com:{port}"));
        for (url, signature) in [
            (URL.into(), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (URL.into(), "kvajT1Ptam85bY51eRf/AJRuM3w="),
            (at("443"), "kvajT1Ptam85bY51eRf/AJRuM3w="),
            (at("443"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (at("1234"), "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            (http.clone(), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            (http.replace(".com", ".com:80"), "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            (http.replace(".com", ".com:1234"), "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            (URL.replace("//", "//user:pass@"), "CukzLTc1tT5dXEDIHm/tKBanW10="),
            (URL.replace("//", "//user:pass@"), "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="),
            (URL.replace("//", "//user@"), "2YRLlVAflCqxaNicjMpJcSTgzSs="),
            (format!("{URL}&Body=It's+amazing"), "dsq4Ehbj6cs+KdTkpF5sSSplOWw="),
        ] {
            assert!(check(&url, signature, FORM).is_ok(), "{url} {signature}");
        }
    }

    #[test]
    fn repeated_fields_are_signed_sorted_and_once() {
        let signature = "83O6e2vORAoJHUNzJjDWN1jz+BA=";
        let binding = |values: [&str; 2]| {
            let values = values.map(|value| format!("MessagingBinding.Address=%2B{value}xxxxxxx"));
            check(URL, signature, &values.join("&"))
        };
        assert!(binding(["1325", "1415"]).is_ok() && binding(["1415", "1325"]).is_ok());
        assert_eq!(binding(["1325", "1416"]), Err(FORGED));
        let body = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
        assert!(check(URL, "IK+Dwps556ElfBT0I3Rgjkr1wJU=", body).is_ok());
    }

    #[test]
    fn non_form_bodies_are_signed_by_hash() {
        let url = format!("{URL}&bodySHA256={JSON_HASH}");
        let signature = "a9nBmqA0ju/hNViExpshrM61xv4=";
        let fields = check(&url, signature, JSON).expect("genuine");
        assert_eq!(fields["property"], BTreeSet::from(["value".to_owned()]));
        let only = format!("https://mycompany.com/myapp.php?bodySHA256={JSON_HASH}");
        assert!(check(&only, "y77kIzt2vzLz71DgmJGsen2scGs=", JSON).is_ok());
        let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let empty = format!("{URL}&bodySHA256={empty}");
        assert!(check(&empty, "Ldidvp12m26NI7eqEvxnEpkd9Hc=", "{}").is_ok());

        let tampered = JSON.replace("true", "false");
        assert!(matches!(check(&url, signature, &tampered), Err(ReceiptError::Forged(_))));
        assert!(matches!(check(&url, signature, FORM), Err(ReceiptError::Forged(_))));
        assert_eq!(check(&url[..url.len() - 1], signature, JSON), Err(FORGED));
        assert_eq!(check(URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", JSON), Err(FORGED));
    }

    #[test]
    fn wrong_signatures_are_rejected() {
        let genuine = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        for wrong in
            ["", "WRONG_SIGNATURE", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "rSOYDt4T1cUTdK1PDd93/VVr8B8="]
        {
            assert_eq!(check(URL, wrong, FORM), Err(FORGED), "{wrong}");
        }
        for body in [
            FORM.replace("1234&", "1235&"),
            format!("{FORM}&MessageStatus=delivered"),
            FORM.replace("Digits=1234&", ""),
            String::new(),
        ] {
            assert_eq!(check(URL, genuine, &body), Err(FORGED), "{body}");
        }
        let url = format!("{URL}&somethingUnexpected=true");
        assert_eq!(check(&url, genuine, FORM), Err(FORGED));
        let other = authenticate(&"54321".into(), &request(URL, &headers(genuine), FORM));
        assert_eq!(other, Err(FORGED));
        let unsigned = authenticate(&TOKEN.into(), &request(URL, &HeaderMap::new(), FORM));
        assert_eq!(unsigned, Err(ReceiptError::Forged("it has no signature")));
    }

    #[test]
    fn legacy_query_encodings_are_accepted() {
        let notations = url_notations("https://a.example/x?id=it's+%C3%A9&flag");
        assert_eq!(
            notations,
            [
                "https://a.example/x?id=it's+%C3%A9&flag",
                "https://a.example:443/x?id=it's+%C3%A9&flag",
                "https://a.example/x?id=it's%20%C3%A9&flag=",
                "https://a.example:443/x?id=it's%20%C3%A9&flag=",
            ]
        );
        assert_eq!(url_notations("http://[::1]:8000")[..2], ["http://[::1]", "http://[::1]:8000"]);
        assert_eq!(url_notations("http://[::1]/")[1], "http://[::1]:80/");
        assert!(url_notations("nonsense").is_empty());
    }

    const STATUS_URL: &str = "https://api.example.com/webhooks/twilio/status?id=msg_1";

    fn update_from(fields: &str) -> Option<StatusUpdate> {
        let body = format!("SmsSid=SM1&MessageSid=SM1&AccountSid=AC1&To=%2B31612345678&{fields}");
        let receipt = parse_signed(STATUS_URL, &body).expect("genuine");
        assert_eq!(receipt.message, MessageRef::ClientReference("msg_1".into()));
        receipt.update
    }

    #[test]
    fn statuses_are_mapped() {
        for (gateway_status, status) in
            [("sent", Status::Sent), ("delivered", Status::Delivered), ("read", Status::Delivered)]
        {
            let update = StatusUpdate { status, reason: None, gateway_id: Some("SM1".into()) };
            assert_eq!(
                update_from(&format!("MessageStatus={gateway_status}&ErrorCode=")),
                Some(update)
            );
        }
        for gateway_status in ["queued", "accepted", "sending", "scheduled", "something-new"] {
            assert_eq!(
                update_from(&format!("MessageStatus={gateway_status}")),
                None,
                "{gateway_status}"
            );
        }
        assert!(update_from("SmsStatus=delivered").is_some());
    }

    #[test]
    fn failures_have_a_reason() {
        for (fields, status, reason) in [
            (
                "MessageStatus=undelivered&ErrorCode=30003",
                Status::Undelivered,
                FailureReason::with_code(30003, "the phone could not be reached"),
            ),
            (
                "MessageStatus=failed&ErrorCode=30007",
                Status::Failed,
                FailureReason::with_code(30007, "the message was filtered as unwanted"),
            ),
            (
                "MessageStatus=undelivered&ErrorCode=30999",
                Status::Undelivered,
                FailureReason::with_code(30999, "Twilio could not deliver it"),
            ),
            (
                "MessageStatus=undelivered&ErrorCode=%2B31612345678x",
                Status::Undelivered,
                FailureReason::new("Twilio could not deliver it"),
            ),
            (
                "MessageStatus=failed",
                Status::Failed,
                FailureReason::new("Twilio could not deliver it"),
            ),
        ] {
            let update =
                StatusUpdate { status, reason: Some(reason), gateway_id: Some("SM1".into()) };
            assert_eq!(update_from(fields), Some(update), "{fields}");
        }
    }

    #[test]
    fn messages_are_referenced_by_our_id_or_by_twilios() {
        let plain = "https://api.example.com/webhooks/twilio/status";
        let reference = |url: &str, body| parse_signed(url, body).map(|receipt| receipt.message);
        let gateway_id = Ok(MessageRef::GatewayId("SM1".into()));
        assert_eq!(reference(plain, "MessageSid=SM1&MessageStatus=sent"), gateway_id);
        assert_eq!(reference(plain, "SmsSid=SM1&MessageStatus=sent"), gateway_id);
        assert_eq!(
            reference(&format!("{plain}?id="), "MessageSid=SM1&MessageStatus=sent"),
            gateway_id
        );
        assert_eq!(
            reference(STATUS_URL, "MessageStatus=sent"),
            Ok(MessageRef::ClientReference("msg_1".into()))
        );
        assert!(matches!(reference(plain, "MessageStatus=sent"), Err(ReceiptError::Unreadable(_))));
        assert!(matches!(
            reference(STATUS_URL, "MessageSid=SM1"),
            Err(ReceiptError::Unreadable(_))
        ));
        assert!(matches!(reference(STATUS_URL, ""), Err(ReceiptError::Unreadable(_))));
    }

    #[test]
    fn receipts_can_be_json() {
        let body =
            r#"{"MessageSid":"SM1","MessageStatus":"undelivered","ErrorCode":30004,"More":[]}"#;
        let hash = HEXLOWER.encode(&sha256(body.as_bytes()));
        let update =
            parse_signed(&format!("{STATUS_URL}&bodySHA256={hash}"), body).expect("genuine").update;
        let reason = Some(FailureReason::with_code(30004, "the message was blocked"));
        let expected =
            StatusUpdate { status: Status::Undelivered, reason, gateway_id: Some("SM1".into()) };
        assert_eq!(update, Some(expected));
        let hash = HEXLOWER.encode(&sha256(b"[]"));
        let unreadable = parse_signed(&format!("{STATUS_URL}&bodySHA256={hash}"), "[]");
        assert!(matches!(unreadable, Err(ReceiptError::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn receipts_without_the_token_are_rejected(
            url in "https?://[a-z:/?&=%0-9]{0,40}", body in "[ -~]{0,60}", signature in "[ -~]{0,40}",
        ) {
            let headers = headers(&signature);
            let forged = parse(&TOKEN.into(), &request(&url, &headers, &body));
            prop_assert!(matches!(forged, Err(ReceiptError::Forged(_))));
        }

        #[test]
        fn genuine_receipts_may_have_any_fields(
            fields in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6),
        ) {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&fields)
                .append_pair("MessageStatus", "delivered")
                .finish();
            let expected = MessageRef::ClientReference("msg_1".into());
            prop_assert_eq!(parse_signed(STATUS_URL, &body).expect("genuine").message, expected);
        }
    }
}
