//! Leads: webhooks of lead forms, their numbers, and claim links.

use std::time::Duration;

use aws_lc_rs::hmac;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use switchboard::bonuses;

use crate::support::upstream::{Reply, Upstream};
use crate::support::{
    Caller, GraphQLResponse, KEY_RING, PASSWORD, TestApp, TestDatabase, on_each_shared_database,
};

const ANN_PHONE: &str = "+31612345678";
const BOB_PHONE: &str = "+31687654321";
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const FORMS: &str = "meta:777=Spring:5,google:888=Spring:5,lead:video=Spring:5,claim:post=Spring:5";
const CLAIM: &str =
    "mutation ($input: ClaimBonusInput!) { claimBonus(input: $input) { campaign coins } }";

/// An app with a form of each network. `meta` is the URL of the Graph API.
async fn app_with(database: &TestDatabase, meta: &str, settings: &[(&str, &str)]) -> TestApp {
    let defaults = [
        ("LEAD_CAMPAIGNS", FORMS),
        ("META_APP_SECRET", "app secret"),
        ("META_VERIFY_TOKEN", "a verification token"),
        ("META_PAGE_TOKEN", "page-token"),
        ("META_BASE_URL", meta),
        ("GOOGLE_ADS_KEY", "a key of Google Ads"),
        ("LEAD_WEBHOOK_SECRET", "a webhook secret"),
    ];
    TestApp::with(database, &[&defaults[..], settings].concat()).await
}

/// An app whose Graph API is never asked.
async fn app(database: &TestDatabase) -> TestApp {
    app_with(database, "http://127.0.0.1:1", &[]).await
}

fn signature(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("sha256={}", HEXLOWER.encode(hmac::sign(&key, body.as_bytes()).as_ref()))
}

async fn post(app: &TestApp, path: &str, signature: Option<&str>, body: &str) -> StatusCode {
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(signature) = signature {
        request = request.header("X-Hub-Signature-256", signature);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    app.request(request).await.0
}

/// Posts a lead by the signed webhook.
async fn post_signed(app: &TestApp, form: &str, lead: &Value) -> StatusCode {
    let body = lead.to_string();
    let signature = signature("a webhook secret", &body);
    post(app, &format!("/webhooks/leads/{form}"), Some(&signature), &body).await
}

fn lead(id: &str, phone: &str) -> Value {
    json!({ "id": id, "phone": phone, "consent": "Yes, send me my coins." })
}

/// Posts these lead ids of a form as Meta does.
async fn post_meta(app: &TestApp, form: &Value, leads: &[Value]) -> StatusCode {
    let change = |lead: &Value| {
        let value = json!({ "leadgen_id": lead, "form_id": form, "page_id": 1, "created_time": 1_588_890_044 });
        json!({ "field": "leadgen", "value": value })
    };
    let entries: Vec<Value> =
        leads.iter().map(|lead| json!({ "id": "1", "changes": [change(lead)] })).collect();
    let body = json!({ "object": "page", "entry": entries }).to_string();
    post(app, "/webhooks/meta", Some(&signature("app secret", &body)), &body).await
}

/// A lead as the Graph API answers it.
fn fetched(phone: &str) -> Reply {
    let field = json!({ "name": "phone_number", "values": [phone] });
    let time = "2015-02-28T08:49:14+0000";
    Reply::Json(200, json!({ "id": "1", "created_time": time, "field_data": [field] }))
}

fn google_lead(id: &str, form: &Value, phone: &str) -> Value {
    let column = json!({ "column_id": "PHONE_NUMBER", "string_value": phone });
    json!({ "lead_id": id, "form_id": form, "google_key": "a key of Google Ads", "user_column_data": [column] })
}

async fn post_google(app: &TestApp, lead: &Value) -> StatusCode {
    post(app, "/webhooks/google-ads", None, &lead.to_string()).await
}

impl Caller {
    async fn claim(&self, link: &str, phone: &str, consent: &str) -> GraphQLResponse {
        let input = json!({ "link": link, "phone": phone, "consent": consent });
        self.send(CLAIM, json!({ "input": input })).await
    }

    async fn coins(&self) -> i64 {
        let me = self.send("{ me { wallet { balance } } }", json!({})).await;
        me.data("/me/wallet/balance").as_i64().expect("a number")
    }
}

/// The figures of a form: received, credited, pending, rejected, unfetched, and the code of the last error.
async fn figures(admin: &Caller, id: &str) -> (Vec<i64>, Value) {
    let query = "{ leadForms { id network campaign received credited pending rejected unfetched \
                 lastReceivedAt lastError lastErrorCode } }";
    let forms = admin.send(query, json!({})).await;
    let forms = forms.data("/leadForms").as_array().expect("a list").clone();
    let form = forms.into_iter().find(|form| form["id"] == id).expect("the form");
    let names = ["received", "credited", "pending", "rejected", "unfetched"];
    let counts = names.map(|name| form[name].as_i64().expect("a number")).to_vec();
    (counts, form["lastErrorCode"].clone())
}

async fn end_spring(admin: &Caller) {
    let end = "mutation { endCampaign(campaign: \"Spring\") { status } }";
    assert_eq!(admin.send(end, json!({})).await.text("/endCampaign/status"), "ENDED");
}

#[tokio::test]
async fn the_handshake_is_answered_with_its_challenge() {
    let app = app(&TestDatabase::Memory).await;
    let get = async |query: &str| {
        let request = Request::get(format!("/webhooks/meta{query}")).body(Body::empty());
        app.request(request.expect("a request")).await
    };
    let handshake = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=";
    let (status, headers, body) = get(&format!("{handshake}a%20verification%20token")).await;
    assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"1158201444"[..]));
    assert!(headers["content-type"].to_str().expect("text").starts_with("text/plain"));
    let other = format!("{handshake}other");
    for wrong in [other.as_str(), handshake, "", "?hub.mode=subscribe"] {
        assert_eq!(get(wrong).await.0, StatusCode::FORBIDDEN, "{wrong}");
    }
}

#[tokio::test]
async fn only_signed_webhooks_are_accepted() {
    let app = app(&TestDatabase::Memory).await;
    let body = lead("1", ANN_PHONE).to_string();
    for (path, secret) in
        [("/webhooks/meta", "app secret"), ("/webhooks/leads/video", "a webhook secret")]
    {
        let right = signature(secret, &body);
        let other_bytes = body.replace('1', "2");
        let bad = [
            (None, body.as_str()),
            (Some(signature("other", &body)), body.as_str()),
            (Some(right["sha256=".len()..].to_owned()), body.as_str()),
            (Some(right.clone()), other_bytes.as_str()),
        ];
        for (signature, body) in bad {
            let status = post(&app, path, signature.as_deref(), body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
        }
        assert_eq!(post(&app, path, Some(&right), &body).await, StatusCode::OK, "{path}");
        let unreadable = post(&app, path, Some(&signature(secret, "{")), "{").await;
        assert_eq!(unreadable, StatusCode::BAD_REQUEST, "{path}");
    }
    let mut google = google_lead("1", &json!(888), ANN_PHONE);
    assert_eq!(post_google(&app, &google).await, StatusCode::OK);
    for key in [json!("other"), json!(""), Value::Null, json!(["a key of Google Ads"])] {
        google["google_key"] = key;
        assert_eq!(post_google(&app, &google).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(app.count("SELECT count(*) FROM leads").await, 2, "the body is no lead of Meta");

    // Without a secret there is no webhook.
    let app = TestApp::new(&TestDatabase::Memory).await;
    for path in ["/webhooks/meta", "/webhooks/leads/video", "/webhooks/google-ads"] {
        let signature = signature("", &body);
        assert_eq!(post(&app, path, Some(&signature), &body).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_lead_that_cannot_be_stored_is_sent_again() {
    let app = app(&TestDatabase::Memory).await;
    app.sql("ALTER TABLE leads RENAME TO gone").await.expect("renamed");
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(post_signed(&app, "video", &lead("1", ANN_PHONE)).await, unavailable);
    assert_eq!(post_meta(&app, &json!(777), &[json!(1)]).await, unavailable);
    assert_eq!(post_google(&app, &google_lead("1", &json!(888), ANN_PHONE)).await, unavailable);
    app.sql("ALTER TABLE gone RENAME TO leads").await.expect("renamed");
    assert_eq!(post_signed(&app, "video", &lead("1", ANN_PHONE)).await, StatusCode::OK);
}

#[tokio::test]
async fn leads_of_meta_are_fetched_and_paid_once() {
    on_each_shared_database(async |database| {
        let meta = Upstream::start().await;
        meta.reply_by(|request| match request.contains("/v24.0/11 ") {
            true => fetched(ANN_PHONE),
            false => fetched(BOB_PHONE),
        });
        let app = app_with(database, &format!("{}/v24.0", meta.url), &[]).await;
        let admin = app.admin().await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        for _ in 0..2 {
            // Ids are numbers in the documentation and strings in practice.
            let leads = [json!(11), json!("12"), json!("11")];
            assert_eq!(post_meta(&app, &json!("777"), &leads).await, StatusCode::OK);
            assert_eq!(post_meta(&app, &json!(777), &leads).await, StatusCode::OK);
            app.app.run_due_jobs().await.expect("no job fails");
        }
        let requests = meta.requests();
        assert_eq!(requests.len(), 2, "{requests:?}");
        assert!(requests[0].to_lowercase().contains("authorization: bearer page-token"));
        assert_eq!(figures(&admin, "meta:777").await, (vec![2, 1, 1, 0, 0], Value::Null));
        assert_eq!(ann.coins().await, 5);
        let sms = app.notices_sent_to(ANN_PHONE).await;
        assert_eq!(sms.iter().filter(|sms| sms.contains("Spring")).count(), 1, "{sms:?}");
        assert!(app.sent_sms(BOB_PHONE).await.is_empty(), "nobody has verified it");

        let bob = app.with_verified_phone("bob", BOB_PHONE).await;
        assert_eq!(bob.coins().await, 5);
        assert_eq!(figures(&admin, "meta:777").await.0, [2, 2, 0, 0, 0]);
        let clear = "SELECT count(*) FROM leads WHERE sealed_phone IS NOT NULL";
        assert_eq!(app.count(clear).await, 0, "numbers are kept until they are applied");
    })
    .await;
}

#[tokio::test]
async fn fetching_is_tried_for_days_and_given_up_after_a_week() {
    on_each_shared_database(async |database| {
        let meta = Upstream::start().await;
        let error =
            json!({ "error": { "type": "OAuthException", "code": 190, "message": "secret" } });
        let revoked = error.clone();
        meta.reply_by(move |_| Reply::Json(400, revoked.clone()));
        let app = app_with(database, &meta.url, &[]).await;
        let admin = app.admin().await;
        assert_eq!(post_meta(&app, &json!(777), &[json!(1)]).await, StatusCode::OK);
        app.advance(Duration::ZERO).await;
        let (counts, code) = figures(&admin, "meta:777").await;
        assert_eq!((counts, code), (vec![1, 0, 0, 0, 1], json!("NEEDS_REAUTH")));
        let before = meta.requests().len();
        app.advance(Duration::ZERO).await;
        assert_eq!(meta.requests().len(), before, "it waits");
        for _ in 0..12 {
            app.advance(6 * HOUR).await;
        }
        assert!(meta.requests().len() >= before + 10, "{}", meta.requests().len());
        meta.reply_by(|_| fetched(ANN_PHONE));
        app.advance(6 * HOUR).await;
        let admin = app.logged_in("operator").await;
        assert_eq!(figures(&admin, "meta:777").await, (vec![1, 0, 1, 0, 0], Value::Null));

        meta.reply_by(move |_| Reply::Json(400, error.clone()));
        assert_eq!(post_meta(&app, &json!(777), &[json!(2)]).await, StatusCode::OK);
        for _ in 0..=4 * 7 {
            app.advance(6 * HOUR).await;
        }
        let after_a_week = meta.requests().len();
        app.advance(6 * HOUR).await;
        assert_eq!(meta.requests().len(), after_a_week);
        let admin = app.logged_in("operator").await;
        assert_eq!(figures(&admin, "meta:777").await.0, [2, 0, 1, 0, 1]);
    })
    .await;
}

#[tokio::test]
async fn leads_of_google_and_of_signed_webhooks_are_paid_once_per_campaign() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        let admin = app.admin().await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        // Without a plus, as Google sends numbers.
        let google = google_lead("TeSter-1", &json!(888), "31-6-1234-5678");
        for _ in 0..2 {
            assert_eq!(post_google(&app, &google).await, StatusCode::OK);
            assert_eq!(post_signed(&app, "video", &lead("a", ANN_PHONE)).await, StatusCode::OK);
            app.advance(Duration::ZERO).await;
        }
        // An id is known whatever its form, so that a replay at another form has no effect.
        assert_eq!(post_signed(&app, "other", &lead("a", BOB_PHONE)).await, StatusCode::OK);
        assert_eq!(post_signed(&app, "video", &lead("b", "12")).await, StatusCode::OK);
        app.advance(Duration::ZERO).await;
        assert_eq!(ann.coins().await, 5);
        let google = figures(&admin, "google:888").await.0;
        let (video, code) = figures(&admin, "lead:video").await;
        assert_eq!(google[1] + video[1], 1, "one of them was first");
        assert_eq!((google[0], video[0], video[3]), (1, 2, 1));
        assert_eq!(code, "INVALID_PHONE_NUMBER");
        assert_eq!(app.count("SELECT count(*) FROM leads").await, 3);
        for bad in [
            json!({ "phone": ANN_PHONE, "consent": "Yes" }),
            json!({ "id": "c", "phone": ANN_PHONE }),
            json!({ "id": "c", "phone": ANN_PHONE, "consent": " " }),
            json!({ "id": "c\u{0}", "phone": ANN_PHONE, "consent": "Yes" }),
            json!([]),
        ] {
            assert_eq!(post_signed(&app, "video", &bad).await, StatusCode::BAD_REQUEST, "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn tests_of_networks_are_recognised() {
    let meta = Upstream::start().await;
    meta.reply_by(|_| fetched("<test lead: dummy data for phone_number>"));
    let app = app_with(&TestDatabase::Memory, &meta.url, &[]).await;
    let admin = app.admin().await;
    let mut google = google_lead("1", &json!(888), ANN_PHONE);
    google["is_test"] = json!(true);
    assert_eq!(post_google(&app, &google).await, StatusCode::OK);
    let fours = json!("444444444444");
    assert_eq!(post_meta(&app, &fours, std::slice::from_ref(&fours)).await, StatusCode::OK);
    assert_eq!(post_meta(&app, &json!(777), &[json!(5)]).await, StatusCode::OK);
    let mut signed = lead("1", ANN_PHONE);
    signed["test"] = json!(true);
    assert_eq!(post_signed(&app, "video", &signed).await, StatusCode::OK);
    app.advance(Duration::ZERO).await;
    for form in ["google:888", "meta:777", "lead:video"] {
        assert_eq!(figures(&admin, form).await.0, [0; 5], "{form}");
    }
    assert_eq!(meta.requests().len(), 1, "ids of fours are not fetched");
    assert_eq!(app.count("SELECT count(*) FROM leads WHERE state = 'TEST'").await, 4);
    assert_eq!(app.count("SELECT count(*) FROM bonuses").await, 0);
    app.advance(31 * DAY).await;
    assert_eq!(app.count("SELECT count(*) FROM leads").await, 0);
}

#[tokio::test]
async fn leads_of_unknown_forms_are_kept_for_thirty_days() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        assert_eq!(post_signed(&app, "new", &lead("1", ANN_PHONE)).await, StatusCode::OK);
        assert_eq!(post_meta(&app, &json!(999), &[json!(1)]).await, StatusCode::OK);
        assert_eq!(
            post_google(&app, &google_lead("1", &json!(9), BOB_PHONE)).await,
            StatusCode::OK
        );
        app.advance(29 * DAY).await;
        let unknown = "SELECT count(*) FROM leads WHERE state = 'UNKNOWN_FORM'";
        assert_eq!(app.count(unknown).await, 3);
        // Once a setting names the form, its leads are applied.
        let forms = ("LEAD_CAMPAIGNS", "lead:new=Spring:5");
        let settings = [forms, ("LEAD_WEBHOOK_SECRET", "a webhook secret")];
        let other = app.second_instance(database, &settings).await;
        other.app.run_due_jobs().await.expect("no job fails");
        let admin = other.admin().await;
        assert_eq!(figures(&admin, "lead:new").await.0, [1, 0, 1, 0, 0]);
        app.advance(2 * DAY).await;
        assert_eq!(app.count(unknown).await, 0);
        assert_eq!(app.count("SELECT count(*) FROM leads").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_claim_says_nothing_about_the_number_and_is_paid_once() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        let admin = app.admin().await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        let anybody = app.anonymous();
        let mut answers = Vec::new();
        for phone in [ANN_PHONE, "0031 6 1234 5678", BOB_PHONE] {
            let claimed = anybody.claim("post", phone, "I agree.").await;
            assert_eq!(claimed.data("/claimBonus"), &json!({ "campaign": "Spring", "coins": 5 }));
            answers.push(claimed.text);
            assert_eq!(ann.coins().await, 0, "nothing happens before the answer");
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        app.advance(Duration::ZERO).await;
        anybody.claim("post", ANN_PHONE, "I agree.").await.data("/claimBonus");
        app.advance(Duration::ZERO).await;
        assert_eq!(ann.coins().await, 5);
        assert_eq!(figures(&admin, "claim:post").await.0, [4, 1, 1, 0, 0]);
        let bob = app.with_verified_phone("bob", BOB_PHONE).await;
        assert_eq!(bob.coins().await, 5);
        assert_eq!(figures(&admin, "claim:post").await.0, [4, 2, 0, 0, 0]);
    })
    .await;
}

#[tokio::test]
async fn every_bad_field_of_a_claim_is_reported() {
    let app = app(&TestDatabase::Memory).await;
    let anybody = app.anonymous();
    let bad = anybody.claim("other", "12", " ").await;
    assert_eq!(
        bad.errors(),
        ["NOT_FOUND link", "INVALID_PHONE_NUMBER phone", "BAD_USER_INPUT consent"]
    );
    let long = "x".repeat(2_001);
    anybody.claim("post", ANN_PHONE, &long).await.assert_error("BAD_USER_INPUT", "consent");
    let landline = anybody.claim("post", "+31201234567", "Yes").await;
    landline.assert_error("INVALID_PHONE_NUMBER", "phone");
    // The forms of networks are no links.
    anybody.claim("video", ANN_PHONE, "Yes").await.assert_error("NOT_FOUND", "link");
    assert_eq!(app.count("SELECT count(*) FROM leads").await, 0);
}

#[tokio::test]
async fn claims_are_limited_by_number_and_by_address() {
    on_each_shared_database(async |database| {
        let settings = [
            // Two of each: development multiplies those by address by 100.
            ("LIMITS_SCALE", "0.02"),
            ("LIMIT_CLAIMS_PER_NUMBER", "100"),
            ("LIMIT_CLAIMS_PER_ADDRESS", "1"),
        ];
        let app = app_with(database, "http://127.0.0.1:1", &settings).await;
        let at = |address: &str| app.anonymous().with_address(address);
        for address in ["192.0.2.10", "192.0.2.11"] {
            at(address).claim("post", ANN_PHONE, "Yes").await.data("/claimBonus");
        }
        let beyond = at("192.0.2.12").claim("post", ANN_PHONE, "Yes").await;
        beyond.data("/claimBonus");
        assert_eq!(app.count("SELECT count(*) FROM leads").await, 2, "acknowledged and dropped");
        at("192.0.2.10").claim("post", BOB_PHONE, "Yes").await.data("/claimBonus");
        let limited = at("192.0.2.10").claim("post", "+31611111111", "Yes").await;
        limited.assert_error("RATE_LIMITED", "");
        assert_eq!(limited.extension("retryAfter"), 3_600);
        app.clock.advance(HOUR);
        at("192.0.2.10").claim("post", "+31611111111", "Yes").await.data("/claimBonus");
        assert_eq!(app.count("SELECT count(*) FROM leads").await, 4);
        let page_claim = "phone=%2B31612345678&consent=yes";
        for expected in [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
            let (status, headers, _) = post_page(&app, "post", page_claim).await;
            assert_eq!(status, expected);
            let is_limited = expected == StatusCode::TOO_MANY_REQUESTS;
            assert_eq!(headers.get("retry-after").is_some_and(|wait| wait == "3600"), is_limited);
        }
    })
    .await;
}

#[tokio::test]
async fn an_ended_campaign_takes_no_leads() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        let admin = app.admin().await;
        let anybody = app.anonymous();
        anybody.claim("post", ANN_PHONE, "Yes").await.data("/claimBonus");
        app.advance(Duration::ZERO).await;
        anybody.claim("post", BOB_PHONE, "Yes").await.data("/claimBonus");
        end_spring(&admin).await;
        anybody.claim("post", BOB_PHONE, "Yes").await.assert_error("CONFLICT", "link");
        assert_eq!(post_signed(&app, "video", &lead("1", ANN_PHONE)).await, StatusCode::OK);
        app.advance(Duration::ZERO).await;
        let conflict = json!("CONFLICT");
        let expected = (vec![1, 0, 0, 1, 0], conflict.clone());
        assert_eq!(figures(&admin, "lead:video").await, expected);
        // One was pending, one was not applied yet.
        assert_eq!(figures(&admin, "claim:post").await, (vec![2, 0, 0, 2, 0], conflict));
        let clear = "SELECT count(*) FROM leads WHERE sealed_phone IS NOT NULL";
        assert_eq!(app.count(clear).await, 0);
    })
    .await;
}

#[tokio::test]
async fn leads_wait_while_the_settings_contradict_the_campaign() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        app.anonymous().claim("post", ANN_PHONE, "Yes").await.data("/claimBonus");
        app.advance(Duration::ZERO).await;
        let secret = ("LEAD_WEBHOOK_SECRET", "a webhook secret");
        let wrong = [("LEAD_CAMPAIGNS", "lead:video=Spring:6"), secret];
        let wrong = app.second_instance(database, &wrong).await;
        assert_eq!(post_signed(&wrong, "video", &lead("1", BOB_PHONE)).await, StatusCode::OK);
        wrong.app.run_due_jobs().await.expect("no job fails");
        let admin = app.admin().await;
        let (counts, code) = figures(&admin, "lead:video").await;
        assert_eq!((counts, code), (vec![1, 0, 0, 0, 0], json!("CONFLICT")));
        app.advance(Duration::from_mins(10)).await;
        let admin = app.logged_in("operator").await;
        assert_eq!(figures(&admin, "lead:video").await, (vec![1, 0, 1, 0, 0], Value::Null));
    })
    .await;
}

#[tokio::test]
async fn leads_are_erased_with_the_person() {
    on_each_shared_database(async |database| {
        let app = app(database).await;
        let ann = app.with_verified_phone("ann", ANN_PHONE).await;
        assert_eq!(post_signed(&app, "video", &lead("1", ANN_PHONE)).await, StatusCode::OK);
        app.anonymous().claim("post", BOB_PHONE, "Yes").await.data("/claimBonus");
        app.advance(Duration::ZERO).await;
        // One that was not applied yet.
        assert_eq!(post_signed(&app, "new", &lead("2", ANN_PHONE)).await, StatusCode::OK);
        let kept = "SELECT count(*) FROM leads WHERE consent IS NOT NULL AND number_hash IS NOT NULL";
        assert_eq!(app.count(kept).await, 3);
        let verification = ann.obtain_verification("DELETE_ACCOUNT", ANN_PHONE).await;
        let input = json!({ "password": PASSWORD, "verification": verification });
        let delete = "mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { id } }";
        ann.send(delete, json!({ "input": input })).await.data("/deleteAccount");
        assert_eq!(app.count(kept).await, 1, "Bob's");
        let rest = "SELECT count(*) FROM leads WHERE consent IS NOT NULL OR number_hash IS NOT NULL \
                    OR sealed_phone IS NOT NULL OR (state = 'UNKNOWN_FORM')";
        assert_eq!(app.count(rest).await, 1, "Bob's");
        // A replay brings nothing back.
        assert_eq!(post_signed(&app, "video", &lead("1", ANN_PHONE)).await, StatusCode::OK);
        assert_eq!(app.count(kept).await, 1);
    })
    .await;
}

#[tokio::test]
async fn waiting_numbers_are_resealed() {
    let database = TestDatabase::sqlite_file();
    let app = app(&database).await;
    assert_eq!(post_signed(&app, "new", &lead("1", ANN_PHONE)).await, StatusCode::OK);
    let ring = format!("new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,{KEY_RING}");
    let settings = [
        ("SECRET_KEYS", ring.as_str()),
        ("LEAD_CAMPAIGNS", "lead:new=Spring:5"),
        ("LEAD_WEBHOOK_SECRET", "a webhook secret"),
    ];
    let other = app.second_instance(&database, &settings).await;
    // The key of the hashes, and the number.
    assert_eq!(bonuses::reseal(&other.app.platform).await.expect("resealed"), 2);
    assert_eq!(bonuses::reseal(&other.app.platform).await.expect("resealed"), 0);
    other.app.run_due_jobs().await.expect("no job fails");
    assert_eq!(other.count("SELECT count(*) FROM bonuses").await, 1);
}

#[tokio::test]
async fn figures_are_for_administrators() {
    let app = app(&TestDatabase::Memory).await;
    let query = "{ leadForms { id } }";
    app.anonymous().send(query, json!({})).await.assert_error("UNAUTHENTICATED", "");
    let ann = app.signed_in("ann").await;
    ann.send(query, json!({})).await.assert_error("FORBIDDEN", "");
    let admin = app.admin().await;
    let forms = admin.send("{ leadForms { id network received lastReceivedAt } }", json!({})).await;
    let networks = ["META", "GOOGLE_ADS", "SIGNED_WEBHOOK", "CLAIM_LINK"];
    let ids = ["meta:777", "google:888", "lead:video", "claim:post"];
    let expected = networks.iter().zip(ids).map(|(network, id)| {
        json!({ "id": id, "network": network, "received": 0, "lastReceivedAt": null })
    });
    assert_eq!(forms.data("/leadForms"), &expected.collect::<Value>());
}

/// Posts the form of a claim page.
async fn post_page(app: &TestApp, link: &str, form: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::post(format!("/claim/{link}"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .expect("a request");
    let (status, headers, body) = app.request(request).await;
    (status, headers, String::from_utf8(body).expect("text"))
}

#[tokio::test]
async fn a_claim_page_works_without_scripts() {
    on_each_shared_database(async |database| {
        let settings = [("SERVICE_NAME", "Tom & Ann")];
        let app = app_with(database, "http://127.0.0.1:1", &settings).await;
        let request = Request::get("/claim/post").body(Body::empty()).expect("a request");
        let (status, headers, body) = app.request(request).await;
        let page = String::from_utf8(body).expect("text");
        assert_eq!(status, StatusCode::OK);
        for part in [
            "<form method=\"post\">",
            "name=\"consent\" value=\"yes\" required",
            "I agree that Tom &amp; Ann",
        ] {
            assert!(page.contains(part), "{page}");
        }
        assert!(!page.contains("<script"), "{page}");
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");

        let ann = "phone=%2B31612345678&consent=yes";
        let (status, _, first) = post_page(&app, "post", ann).await;
        assert_eq!(status, StatusCode::OK);
        assert!(first.contains("Thank you."), "{first}");
        app.advance(Duration::ZERO).await;
        let (_, _, again) = post_page(&app, "post", ann).await;
        assert_eq!(first, again, "the answer does not tell");
        let consent: String = app.select("SELECT consent FROM leads LIMIT 1").await;
        assert!(consent.starts_with("I agree that Tom & Ann stores this number"), "{consent}");

        for (form, problem) in [
            ("phone=%2B31687654321", "Tick the box"),
            ("phone=%3Cb%3E&consent=yes", "value=\"&lt;b&gt;\""),
            ("", "Tick the box"),
        ] {
            let (status, _, page) = post_page(&app, "post", form).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
            assert!(page.contains(problem), "{page}");
        }
        assert_eq!(post_page(&app, "other", ann).await.0, StatusCode::NOT_FOUND);
        end_spring(&app.admin().await).await;
        let (status, _, page) = post_page(&app, "post", "phone=%2B31687654321&consent=yes").await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(page.contains("has ended"), "{page}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_of_the_book_is_accepted() {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/send_lead.py");
    let text = std::fs::read_to_string(program).expect("the program");
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/src/leads.md");
    let page = std::fs::read_to_string(page).expect("the page");
    assert!(page.contains(&format!("```python\n{text}```\n")), "docs/src/leads.md differs");
    let is_required = std::env::var_os("REQUIRE_PYTHON").is_some();
    if std::process::Command::new("python3").arg("--version").output().is_err() && !is_required {
        return;
    }
    let app = app(&TestDatabase::sqlite_file()).await;
    let server = app.serve().await;
    let url = format!("http://{}/webhooks/leads/video", server.address);
    let send = async |secret: &'static str| {
        let mut sender = std::process::Command::new("python3");
        sender.args(["-B", program, &url, "1", ANN_PHONE, "“Yes”"]);
        sender.env("LEAD_WEBHOOK_SECRET", secret).env("no_proxy", "*");
        let running = tokio::task::spawn_blocking(move || sender.output());
        running.await.expect("it ends").expect("it starts")
    };
    assert_eq!(send("a webhook secret").await.stdout, b"200\n");
    assert!(!send("another").await.status.success());
    assert_eq!(app.count("SELECT count(*) FROM leads").await, 1);
}
