//! Status callbacks, signed by `X-Twilio-Signature` (www.twilio.com/docs/usage/security).
//!
//! The signature is base64 of HMAC-SHA1 under the account's token, over the URL and the form's fields in
//! order. Twilio is not consistent about a port in that URL, so each way to write it is accepted, as in
//! its own libraries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::form_urlencoded;

use super::super::{About, Call, NotBelieved, Receipt};
use super::{news, status};
use crate::platform::vault::{same, sha256};

const SIGNATURE: &str = "X-Twilio-Signature";
/// In the query of a call whose body is no form: the hash of that body.
const BODY_HASH: &str = "bodySHA256";

/// A form's fields. A field may be repeated; its values count once each, in order.
type Fields = BTreeMap<String, BTreeSet<String>>;

/// Reads a receipt that the holder of the token signed.
pub(super) fn read(token: &SecretString, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
    let fields = believed(token, call)?;
    let field = |name| fields.get(name)?.first().filter(|value| !value.is_empty());
    let sid = field("MessageSid").or_else(|| field("SmsSid"));
    let about = match (in_query(call.query, "id"), sid) {
        (Some(id), _) => About::Ours(id),
        (None, Some(sid)) => About::Theirs(sid.clone()),
        (None, None) => return Err(NotBelieved::Unreadable("it names no message")),
    };
    let theirs = field("MessageStatus").or_else(|| field("SmsStatus"));
    let theirs = theirs.ok_or(NotBelieved::Unreadable("it has no status"))?;
    let code = field("ErrorCode").and_then(|code| code.parse().ok());
    let news = status(theirs).map(|status| news(status, code, sid.cloned()));
    Ok(Receipt { about, news })
}

/// What a call says, once its signature is checked.
fn believed(token: &SecretString, call: &Call<'_>) -> Result<Fields, NotBelieved> {
    let signature =
        call.headers.get(SIGNATURE).ok_or(NotBelieved::Forged("it has no signature"))?;
    let body_hash = in_query(call.query, BODY_HASH);
    let signed = match &body_hash {
        Some(_) => Fields::new(),
        None => form(call.body),
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.expose_secret().as_bytes());
    let is_genuine = ways_to_write(&call.url).iter().any(|url| {
        let expected = BASE64.encode(hmac::sign(&key, data(url, &signed).as_bytes()).as_ref());
        same(expected.as_bytes(), signature.as_bytes())
    });
    if !is_genuine {
        return Err(NotBelieved::Forged("its signature is wrong"));
    }
    match body_hash {
        None => Ok(signed),
        Some(hash) if same(hash.as_bytes(), HEXLOWER.encode(&sha256(call.body)).as_bytes()) => {
            json(call.body).ok_or(NotBelieved::Unreadable("its body is no JSON object"))
        }
        Some(_) => Err(NotBelieved::Forged("its body is not the one that was signed")),
    }
}

fn in_query(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, value) = pairs.find(|(key, value)| key == name && !value.is_empty())?;
    Some(value.into_owned())
}

fn form(body: &[u8]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in form_urlencoded::parse(body) {
        fields.entry(name.into_owned()).or_default().insert(value.into_owned());
    }
    fields
}

fn json(body: &[u8]) -> Option<Fields> {
    let Value::Object(object) = serde_json::from_slice(body).ok()? else { return None };
    let fields = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, BTreeSet::from([text]))),
        Value::Number(number) => Some((name, BTreeSet::from([number.to_string()]))),
        _ => None,
    });
    Some(fields.collect())
}

/// What is signed.
fn data(url: &str, fields: &Fields) -> String {
    let mut data = url.to_owned();
    for (name, values) in fields {
        for value in values {
            data.push_str(name);
            data.push_str(value);
        }
    }
    data
}

/// A URL without its port and with it (the scheme's own if it names none), and both with the query as
/// the oldest of Twilio's libraries write it.
fn ways_to_write(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_port(port) => (host, port),
        _ => (authority, if scheme == "https" { "443" } else { "80" }),
    };
    let written = [rest.to_owned(), with_legacy_query(rest)];
    written
        .iter()
        .flat_map(|rest| {
            [format!("{scheme}://{host}{rest}"), format!("{scheme}://{host}:{port}{rest}")]
        })
        .collect()
}

/// A path with its query decoded and encoded again, as JavaScript's `encodeURIComponent` does.
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

    use super::super::super::{News, Reason};
    use super::*;
    use crate::messages::status::Status;
    use crate::platform::clock::Instant;

    /// The vectors of Twilio's own libraries (twilio-node, spec/validation.spec.js).
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

    fn call<'a>(url: &'a str, headers: &'a HeaderMap, body: &'a str) -> Call<'a> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        Call { url: url.into(), query, headers, body: body.as_bytes(), now: Instant::UNIX_EPOCH }
    }

    fn check(url: &str, signature: &str, body: &str) -> Result<Fields, NotBelieved> {
        believed(&TOKEN.into(), &call(url, &headers(signature), body))
    }

    const FORGED: NotBelieved = NotBelieved::Forged("its signature is wrong");

    /// A receipt as Twilio would sign it.
    fn receipt(url: &str, body: &str) -> Result<Receipt, NotBelieved> {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, TOKEN.as_bytes());
        let signed = if url.contains(BODY_HASH) { Fields::new() } else { form(body.as_bytes()) };
        let signature = BASE64.encode(hmac::sign(&key, data(url, &signed).as_bytes()).as_ref());
        read(&TOKEN.into(), &call(url, &headers(&signature), body))
    }

    #[test]
    fn the_published_signatures_are_believed() {
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
    fn repeated_fields_are_signed_once_each_and_in_order() {
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
    fn a_body_that_is_no_form_is_signed_by_its_hash() {
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
        assert!(matches!(check(&url, signature, &tampered), Err(NotBelieved::Forged(_))));
        assert!(matches!(check(&url, signature, FORM), Err(NotBelieved::Forged(_))));
        assert_eq!(check(&url[..url.len() - 1], signature, JSON), Err(FORGED));
        assert_eq!(check(URL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", JSON), Err(FORGED));
    }

    #[test]
    fn what_is_not_twilios_is_forged() {
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
        let other = believed(&"54321".into(), &call(URL, &headers(genuine), FORM));
        assert_eq!(other, Err(FORGED));
        let unsigned = believed(&TOKEN.into(), &call(URL, &HeaderMap::new(), FORM));
        assert_eq!(unsigned, Err(NotBelieved::Forged("it has no signature")));
    }

    #[test]
    fn a_query_is_accepted_in_its_legacy_encoding() {
        let ways = ways_to_write("https://a.example/x?id=it's+%C3%A9&flag");
        assert_eq!(
            ways,
            [
                "https://a.example/x?id=it's+%C3%A9&flag",
                "https://a.example:443/x?id=it's+%C3%A9&flag",
                "https://a.example/x?id=it's%20%C3%A9&flag=",
                "https://a.example:443/x?id=it's%20%C3%A9&flag=",
            ]
        );
        assert_eq!(ways_to_write("http://[::1]:8000")[..2], ["http://[::1]", "http://[::1]:8000"]);
        assert_eq!(ways_to_write("http://[::1]/")[1], "http://[::1]:80/");
        assert!(ways_to_write("nonsense").is_empty());
    }

    const OURS: &str = "https://api.example.com/webhooks/twilio/status?id=msg_1";

    fn reported(fields: &str) -> Option<News> {
        let body = format!("SmsSid=SM1&MessageSid=SM1&AccountSid=AC1&To=%2B31612345678&{fields}");
        let receipt = receipt(OURS, &body).expect("genuine");
        assert_eq!(receipt.about, About::Ours("msg_1".into()));
        receipt.news
    }

    #[test]
    fn statuses_tell_how_far_it_got() {
        for (theirs, status) in
            [("sent", Status::Sent), ("delivered", Status::Delivered), ("read", Status::Delivered)]
        {
            let news = News { status, reason: None, gateway_id: Some("SM1".into()) };
            assert_eq!(reported(&format!("MessageStatus={theirs}&ErrorCode=")), Some(news));
        }
        for theirs in ["queued", "accepted", "sending", "scheduled", "something-new"] {
            assert_eq!(reported(&format!("MessageStatus={theirs}")), None, "{theirs}");
        }
        assert!(reported("SmsStatus=delivered").is_some());
    }

    #[test]
    fn a_failure_says_why() {
        for (fields, status, reason) in [
            (
                "MessageStatus=undelivered&ErrorCode=30003",
                Status::Undelivered,
                Reason::coded(30003, "the phone could not be reached"),
            ),
            (
                "MessageStatus=failed&ErrorCode=30007",
                Status::Failed,
                Reason::coded(30007, "the message was filtered as unwanted"),
            ),
            (
                "MessageStatus=undelivered&ErrorCode=30999",
                Status::Undelivered,
                Reason::coded(30999, "Twilio could not deliver it"),
            ),
            (
                "MessageStatus=undelivered&ErrorCode=%2B31612345678x",
                Status::Undelivered,
                Reason::new("Twilio could not deliver it"),
            ),
            ("MessageStatus=failed", Status::Failed, Reason::new("Twilio could not deliver it")),
        ] {
            let news = News { status, reason: Some(reason), gateway_id: Some("SM1".into()) };
            assert_eq!(reported(fields), Some(news), "{fields}");
        }
    }

    #[test]
    fn a_message_is_named_by_our_id_or_by_theirs() {
        let plain = "https://api.example.com/webhooks/twilio/status";
        let about = |url: &str, body| receipt(url, body).map(|receipt| receipt.about);
        let theirs = Ok(About::Theirs("SM1".into()));
        assert_eq!(about(plain, "MessageSid=SM1&MessageStatus=sent"), theirs);
        assert_eq!(about(plain, "SmsSid=SM1&MessageStatus=sent"), theirs);
        assert_eq!(about(&format!("{plain}?id="), "MessageSid=SM1&MessageStatus=sent"), theirs);
        assert_eq!(about(OURS, "MessageStatus=sent"), Ok(About::Ours("msg_1".into())));
        assert!(matches!(about(plain, "MessageStatus=sent"), Err(NotBelieved::Unreadable(_))));
        assert!(matches!(about(OURS, "MessageSid=SM1"), Err(NotBelieved::Unreadable(_))));
        assert!(matches!(about(OURS, ""), Err(NotBelieved::Unreadable(_))));
    }

    #[test]
    fn a_receipt_may_be_json() {
        let body =
            r#"{"MessageSid":"SM1","MessageStatus":"undelivered","ErrorCode":30004,"More":[]}"#;
        let hash = HEXLOWER.encode(&sha256(body.as_bytes()));
        let news = receipt(&format!("{OURS}&bodySHA256={hash}"), body).expect("genuine").news;
        let reason = Some(Reason::coded(30004, "the message was blocked"));
        let expected = News { status: Status::Undelivered, reason, gateway_id: Some("SM1".into()) };
        assert_eq!(news, Some(expected));
        let hash = HEXLOWER.encode(&sha256(b"[]"));
        let unreadable = receipt(&format!("{OURS}&bodySHA256={hash}"), "[]");
        assert!(matches!(unreadable, Err(NotBelieved::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn nobody_without_the_token_is_believed(
            url in "https?://[a-z:/?&=%0-9]{0,40}", body in "[ -~]{0,60}", signature in "[ -~]{0,40}",
        ) {
            let headers = headers(&signature);
            let forged = read(&TOKEN.into(), &call(&url, &headers, &body));
            prop_assert!(matches!(forged, Err(NotBelieved::Forged(_))));
        }

        #[test]
        fn genuine_calls_are_believed_with_any_fields(
            fields in proptest::collection::vec((".{0,8}", ".{0,8}"), 0..6),
        ) {
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&fields)
                .append_pair("MessageStatus", "delivered")
                .finish();
            let expected = About::Ours("msg_1".into());
            prop_assert_eq!(receipt(OURS, &body).expect("genuine").about, expected);
        }
    }
}
