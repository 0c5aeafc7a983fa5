//! Status reports: a GET with everything in its query, signed by `MessageBird-Signature-JWT`.
//!
//! The token (a JWS by HMAC) holds hashes of the URL as it was called and of the body, and is good for a
//! minute. All values are texts; the query has more of them than are documented, and a time with a bare
//! plus, which nothing here needs.

use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::form_urlencoded;

use super::super::{About, Call, News, NotBelieved, Receipt};
use super::{reason, status};
use crate::platform::clock::Instant;
use crate::platform::vault::{same, sha256};

const SIGNATURE: &str = "MessageBird-Signature-JWT";
const ISSUER: &str = "MessageBird";
/// How far MessageBird's clock may differ from ours, as its own libraries have it.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    nbf: i64,
    exp: i64,
    jti: String,
    url_hash: String,
    /// Absent when the body is empty.
    payload_hash: Option<String>,
}

/// Reads a report that the holder of the signing key signed. A report that is played again within its
/// minute says nothing new.
pub(super) fn read(key: Option<&SecretString>, call: &Call<'_>) -> Result<Receipt, NotBelieved> {
    let key = key.ok_or(NotBelieved::Forged("there is no signing key to check it by"))?;
    believe(key, call)?;
    let field = |name: &str| {
        let mut pairs = form_urlencoded::parse(call.query.as_bytes());
        let (_, value) = pairs.find(|(key, value)| key == name && !value.is_empty())?;
        Some(value.into_owned())
    };
    let id = field("id");
    let about = match (field("reference"), &id) {
        (Some(reference), _) => About::Ours(reference),
        (None, Some(id)) => About::Theirs(id.clone()),
        (None, None) => return Err(NotBelieved::Unreadable("it names no message")),
    };
    let theirs = field("status").ok_or(NotBelieved::Unreadable("it has no status"))?;
    let news = status(&theirs).map(|status| {
        let code = field("statusErrorCode").and_then(|code| code.parse().ok());
        let reason = reason(status, code, field("statusReason").as_deref());
        News { status, reason, gateway_id: id }
    });
    Ok(Receipt { about, news })
}

fn believe(key: &SecretString, call: &Call<'_>) -> Result<(), NotBelieved> {
    let token = call.headers.get(SIGNATURE).ok_or(NotBelieved::Forged("it has no signature"))?;
    let claims = signed(key, token.as_bytes())?;
    let hashed = |claim: &str, data: &[u8]| {
        same(claim.as_bytes(), HEXLOWER.encode(&sha256(data)).as_bytes())
    };
    let is_time = |seconds| {
        Instant::from_timestamp(seconds, 0)
            .ok_or(NotBelieved::Forged("its signature is of no time"))
    };
    let (from, until) = (is_time(claims.nbf)?, is_time(claims.exp)?);
    let wrong = match &claims.payload_hash {
        _ if claims.iss != ISSUER => "its signature is not by MessageBird",
        _ if claims.jti.is_empty() => "its signature has no id",
        _ if from > call.now + LEEWAY => "its signature is of the future",
        _ if until <= call.now - LEEWAY => "its signature is over",
        _ if !hashed(&claims.url_hash, call.url.as_bytes()) => "it was signed for another URL",
        None if !call.body.is_empty() => "its body is not signed",
        Some(_) if call.body.is_empty() => "the body that was signed is missing",
        Some(hash) if !hashed(hash, call.body) => "its body is not the one that was signed",
        _ => return Ok(()),
    };
    Err(NotBelieved::Forged(wrong))
}

fn signed(key: &SecretString, token: &[u8]) -> Result<Claims, NotBelieved> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.algorithms = vec![Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];
    // The library would read the system's clock: `believe` checks the time, and the rest.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(key.expose_secret().as_bytes());
    match decode(token, &key, &validation) {
        Ok(token) => Ok(token.claims),
        Err(_) => Err(NotBelieved::Forged("its signature is wrong")),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use data_encoding::BASE64URL_NOPAD;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use serde_json::{Value, json};

    use super::super::super::Reason;
    use super::*;
    use crate::messages::status::Status;

    /// The vectors of MessageBird's own libraries (go-rest-api, signature_jwt/testdata/reference.json).
    const KEY: &str = "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb";
    const NOW: i64 = 1_625_479_200;
    const PLAIN: &str = "https://example.com/";
    const QUERY: &str = "https://example.com/path?bar=1&foo=2";
    const SPECIAL: &str =
        "https://example.com/?obj%5Bfield1%5D=val1&obj%5Bfield2%5D=val2&param=value+with+spaces";
    const HELLO: &str = "Hello, World!";
    const JTI: &str = "59a244dc-e9ad-4e23-9778-371faa238f72";
    const REPORT: &str = "https://api.example.com/webhooks/messagebird/status\
        ?id=efa6405d518d4c0c88cce11f7db775fb&reference=msg_1&recipient=31612345678\
        &status=delivered&statusDatetime=2017-09-01T10:00:05+00:00";

    fn hash(text: &str) -> String {
        HEXLOWER.encode(&sha256(text.as_bytes()))
    }

    /// Claims as MessageBird writes them.
    fn claims(jti: &str, url: &str, body: &str) -> String {
        let payload = match body {
            "" => String::new(),
            _ => format!(r#","payload_hash":"{}""#, hash(body)),
        };
        let (until, url) = (NOW + 60, hash(url));
        format!(
            r#"{{"iss":"MessageBird","nbf":{NOW},"exp":{until},"jti":"{jti}","url_hash":"{url}"{payload}}}"#
        )
    }

    fn token(alg: &str, claims: &str) -> String {
        let algorithm = match alg {
            "HS384" => hmac::HMAC_SHA384,
            "HS512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        let part = |data: &[u8]| BASE64URL_NOPAD.encode(data);
        let header = format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#);
        let signed = format!("{}.{}", part(header.as_bytes()), part(claims.as_bytes()));
        let key = hmac::Key::new(algorithm, KEY.as_bytes());
        let signature = part(hmac::sign(&key, signed.as_bytes()).as_ref());
        format!("{signed}.{signature}")
    }

    fn headers(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("messagebird-signature-jwt", token.parse().expect("a value"));
        headers
    }

    fn call<'a>(url: &'a str, headers: &'a HeaderMap, body: &'a str, now: i64) -> Call<'a> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let now = Instant::from_timestamp(now, 0).expect("a time");
        Call { url: url.into(), query, headers, body: body.as_bytes(), now }
    }

    fn check(url: &str, token: &str, body: &str, now: i64) -> Result<(), NotBelieved> {
        believe(&KEY.into(), &call(url, &headers(token), body, now))
    }

    fn report(url: &str) -> Result<Receipt, NotBelieved> {
        let headers = headers(&token("HS256", &claims(JTI, url, "")));
        read(Some(&KEY.into()), &call(url, &headers, "", NOW))
    }

    const WRONG: Result<(), NotBelieved> = Err(NotBelieved::Forged("its signature is wrong"));

    #[test]
    fn the_published_signatures_are_believed() {
        assert_eq!(hash(PLAIN), "0f115db062b7c0dd030b16878c99dea5c354b49dc37b38eb8846179c7783e9d7");
        assert_eq!(hash(HELLO), "dffd6021bb2bd5b0af676290809ec3a53191dd81c7f70a4b28688a362182986f");
        let with_body = "93e55006-a0e8-4526-a190-fa5ff00ea116";
        let special_body = "Some text containg & < >, & and \\u0026";
        for (alg, jti, url, body, signature) in [
            ("HS256", JTI, PLAIN, "", "6Fp0rVOsRr1fj9S2GidXAfkmPVofKr8_RTffC6G6r2E"),
            (
                "HS384",
                JTI,
                PLAIN,
                "",
                "KNMW-29X77lZeuPmThmHWc_RUAvTkaDkpxIZK6mqE08v8mWKiU9Edh4QXwAJO2nv",
            ),
            (
                "HS512",
                JTI,
                PLAIN,
                "",
                "rd6r0iMyNGnVPCwurETphE3Y8rpAyvvnUK0S8WvGUkt2E1QSRAZ7NZJZBHw1Y_Wb5W-sK9HJr_PRL2vz4jRT3Q",
            ),
            ("HS256", with_body, QUERY, HELLO, "_H--TOuYFLpeEH39-rg5E3IHVkjHozBcaKVWPRC5m9I"),
            ("HS256", JTI, SPECIAL, "", "mJBCMfEjKmN3IMuzqPXPHktWETrcu0iNdF3agE8PDyI"),
            ("HS256", JTI, PLAIN, special_body, "IQiKzeEPaO3A48lhKmBDSmxZyCESPCGxdSKFdi0dEJs"),
        ] {
            let token = token(alg, &claims(jti, url, body));
            assert!(token.ends_with(&format!(".{signature}")), "{token}");
            assert_eq!(check(url, &token, body, NOW), Ok(()), "{alg} {url} {body}");
        }
    }

    #[test]
    fn a_url_or_body_that_was_not_signed_is_forged() {
        let (plain, with_body) = (claims(JTI, PLAIN, ""), claims(JTI, PLAIN, HELLO));
        let query = claims(JTI, QUERY, "");
        for (claims, url, body, why) in [
            (&query, "https://example.com/path?foo=2&bar=1", "", "it was signed for another URL"),
            (&query, "http://example.com/path?bar=1&foo=2", "", "it was signed for another URL"),
            (&plain, PLAIN, HELLO, "its body is not signed"),
            (&with_body, PLAIN, "", "the body that was signed is missing"),
            (&with_body, PLAIN, "Hello!", "its body is not the one that was signed"),
        ] {
            let checked = check(url, &token("HS256", claims), body, NOW);
            assert_eq!(checked, Err(NotBelieved::Forged(why)), "{url} {body}");
        }
    }

    #[test]
    fn a_signature_is_good_for_its_minute() {
        let genuine = token("HS256", &claims(JTI, PLAIN, ""));
        for (now, expected) in [
            (NOW - 6, Err(NotBelieved::Forged("its signature is of the future"))),
            (NOW - 5, Ok(())),
            (NOW + 64, Ok(())),
            (NOW + 65, Err(NotBelieved::Forged("its signature is over"))),
            (NOW + 3600, Err(NotBelieved::Forged("its signature is over"))),
        ] {
            assert_eq!(check(PLAIN, &genuine, "", now), expected, "{now}");
        }
        let mut never: Value = serde_json::from_str(&claims(JTI, PLAIN, "")).expect("JSON");
        never["exp"] = json!(i64::MAX);
        let never = token("HS256", &never.to_string());
        assert!(matches!(check(PLAIN, &never, "", NOW), Err(NotBelieved::Forged(_))));
    }

    #[test]
    fn all_claims_are_needed() {
        for (claim, value) in [
            ("iss", None),
            ("iss", Some("SomebodyElse")),
            ("nbf", None),
            ("exp", None),
            ("jti", None),
            ("jti", Some("")),
            ("url_hash", None),
            ("url_hash", Some("")),
        ] {
            let mut claims: Value = serde_json::from_str(&claims(JTI, PLAIN, "")).expect("JSON");
            match value {
                Some(value) => claims[claim] = json!(value),
                None => {
                    claims.as_object_mut().expect("an object").remove(claim).expect("the claim");
                }
            }
            let checked = check(PLAIN, &token("HS256", &claims.to_string()), "", NOW);
            assert!(matches!(checked, Err(NotBelieved::Forged(_))), "{claim} {value:?}");
        }
    }

    #[test]
    fn only_the_holder_of_the_key_can_sign() {
        let claims = claims(JTI, PLAIN, "");
        let genuine = token("HS256", &claims);
        let (signed, _) = genuine.rsplit_once('.').expect("a token");
        let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let none = part(r#"{"alg":"none","typ":"JWT"}"#);
        for wrong in [
            format!("{none}.{}.", part(&claims)),
            format!("{none}.{}", &genuine[genuine.find('.').expect("a dot") + 1..]),
            format!("{signed}."),
            signed.to_owned(),
            token("RS256", &claims),
            token("ES256", &claims),
            token("HS1", &claims),
            String::new(),
            "a.b.c".into(),
        ] {
            assert_eq!(check(PLAIN, &wrong, "", NOW), WRONG, "{wrong}");
        }
        let (signed, unsigned) = (headers(&genuine), HeaderMap::new());
        let (signed, unsigned) = (call(PLAIN, &signed, "", NOW), call(PLAIN, &unsigned, "", NOW));
        assert_eq!(believe(&"another key".into(), &signed), WRONG);
        let missing = Err(NotBelieved::Forged("it has no signature"));
        assert_eq!(believe(&KEY.into(), &unsigned), missing);
        assert!(matches!(read(None, &signed), Err(NotBelieved::Forged(_))));
    }

    #[test]
    fn a_report_is_read_with_its_bare_plus_and_whatever_else_it_has() {
        let expected = Receipt {
            about: About::Ours("msg_1".into()),
            news: Some(News {
                status: Status::Delivered,
                reason: None,
                gateway_id: Some("efa6405d518d4c0c88cce11f7db775fb".into()),
            }),
        };
        assert_eq!(report(REPORT), Ok(expected.clone()));
        let more = format!(
            "{REPORT}&statusErrorCode=&price%5Bamount%5D=0.075&mccmnc=62130&ported=0&=x&new"
        );
        assert_eq!(report(&more), Ok(expected));
    }

    #[test]
    fn statuses_tell_how_far_it_got() {
        let news = |more: &str| {
            let url = REPORT.replace("status=delivered", more);
            report(&url).expect("genuine").news
        };
        let known = |status, reason| {
            let gateway_id = Some("efa6405d518d4c0c88cce11f7db775fb".into());
            Some(News { status, reason, gateway_id })
        };
        for theirs in ["scheduled", "sent", "buffered"] {
            assert_eq!(news(&format!("status={theirs}")), known(Status::Sent, None), "{theirs}");
        }
        assert_eq!(news("status=something_new"), None);
        assert_eq!(
            news("status=delivery_failed&statusErrorCode=5"),
            known(Status::Undelivered, Some(Reason::coded(5, "MessageBird could not deliver it")))
        );
        assert_eq!(
            news("status=expired&statusReason=unknown+subscriber&statusErrorCode=1"),
            known(Status::Undelivered, Some(Reason::coded(1, "unknown subscriber")))
        );
        assert_eq!(
            news("status=expired&statusReason=for+31612345678&statusErrorCode=x"),
            known(Status::Undelivered, Some(Reason::new("MessageBird could not deliver it")))
        );
    }

    #[test]
    fn a_message_is_named_by_our_reference_or_by_their_id() {
        let about = |query| report(&format!("{PLAIN}?{query}")).map(|receipt| receipt.about);
        let theirs = Ok(About::Theirs("id_1".into()));
        assert_eq!(about("id=id_1&reference=msg_1&status=sent"), Ok(About::Ours("msg_1".into())));
        assert_eq!(about("id=id_1&status=sent"), theirs);
        assert_eq!(about("id=id_1&reference=&status=sent"), theirs);
        assert!(matches!(about("status=sent"), Err(NotBelieved::Unreadable(_))));
        assert!(matches!(about("id=id_1"), Err(NotBelieved::Unreadable(_))));
    }

    proptest! {
        #[test]
        fn nobody_without_the_key_is_believed(
            url in "https://[a-z/?&=%0-9]{0,40}", body in "[ -~]{0,20}", token in "[ -~]{0,80}",
        ) {
            let headers = headers(&token);
            let forged = read(Some(&KEY.into()), &call(&url, &headers, &body, NOW));
            prop_assert!(matches!(forged, Err(NotBelieved::Forged(_))));
        }

        #[test]
        fn one_changed_character_of_a_report_is_seen(place in 0..REPORT.len(), other in "[a-z0-9]") {
            let mut url = REPORT.to_owned();
            url.replace_range(place..=place, &other);
            prop_assume!(url != REPORT);
            let token = token("HS256", &claims(JTI, REPORT, ""));
            prop_assert!(check(&url, &token, "", NOW).is_err());
        }
    }
}
