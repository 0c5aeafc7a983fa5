//! `/claim/{link}`: the page of a claim link, on which people give their number to get a bonus. It works without
//! scripts: a form, and a page that answers it.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use data_encoding::BASE64;
use url::form_urlencoded;

use super::body;
use super::client_address::client_info;
use crate::app::App;
use crate::bonuses::{ClaimLink, NewClaim, claim_bonus, find_claim_link};
use crate::error::{Error, ErrorCode};
use crate::platform::vault::sha256;

/// Valid forms have less than a hundred bytes.
const MAX_BODY_BYTES: usize = 4 * 1024;
const STYLE: &str = include_str!("claim_page/style.css");

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/claim/{link}", get(show_form).post(claim))
}

async fn show_form(State(app): State<Arc<App>>, Path(id): Path<String>) -> Response {
    match find_claim_link(&app.bonuses, &id) {
        Some(link) => page(StatusCode::OK, &title(&link), &form(&link, "", None)),
        None => unknown_link(),
    }
}

async fn claim(State(app): State<Arc<App>>, Path(id): Path<String>, request: Request) -> Response {
    let Some(link) = find_claim_link(&app.bonuses, &id) else { return unknown_link() };
    let (head, body) = request.into_parts();
    let body = match body::read(&app, body, MAX_BODY_BYTES).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let field = |name: &str| {
        let mut fields = form_urlencoded::parse(&body);
        fields.find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
    };
    let phone = field("phone").unwrap_or_default();
    if field("consent").as_deref() != Some("yes") {
        let problem = "Tick the box to agree. Without it, nothing is stored.";
        return page(StatusCode::BAD_REQUEST, &title(&link), &form(&link, &phone, Some(problem)));
    }
    let address = client_info(&app, &head).address;
    // As the form shows it, not as the request says.
    let consent = consent_text(&link);
    let new = NewClaim { link: &id, phone: &phone, consent: &consent, address };
    match claim_bonus(&app.bonuses, &app.platform, new).await {
        Ok(_) => {
            let done = fill(include_str!("claim_page/done.html"), &link, &[]);
            page(StatusCode::OK, &title(&link), &done)
        }
        Err(error) => failed(&link, &phone, &error),
    }
}

fn failed(link: &ClaimLink<'_>, phone: &str, error: &Error) -> Response {
    error.log();
    let user_error = &error.user_errors()[0];
    let (status, problem) = match user_error.code {
        ErrorCode::Conflict => {
            let ended = fill("<p>The campaign “{campaign}” has ended.</p>", link, &[]);
            return page(StatusCode::CONFLICT, &title(link), &ended);
        }
        ErrorCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, user_error.message.as_str()),
        code if code.is_retryable() || code == ErrorCode::InternalServerError => {
            (StatusCode::SERVICE_UNAVAILABLE, "This does not work now. Try again in a minute.")
        }
        _ => (StatusCode::BAD_REQUEST, user_error.message.as_str()),
    };
    let mut response = page(status, &title(link), &form(link, phone, Some(problem)));
    if let Some(wait) = user_error.retry_after {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn unknown_link() -> Response {
    let content = "<p>There is no such link. Check its address, or ask for a new one.</p>";
    page(StatusCode::NOT_FOUND, "Nothing here", content)
}

fn title(link: &ClaimLink<'_>) -> String {
    format!("{} coins at {}", link.coins, link.service)
}

/// What a person agrees to. Kept with each claim.
fn consent_text(link: &ClaimLink<'_>) -> String {
    let ClaimLink { campaign, coins, service } = link;
    format!(
        "I agree that {service} stores this number, which is mine, to give it {coins} coins of the campaign \
         “{campaign}” and to tell me of them by one SMS. If I delete my account, this claim is erased."
    )
}

fn form(link: &ClaimLink<'_>, phone: &str, problem: Option<&str>) -> String {
    let problem =
        problem.map(|text| format!("<p class=\"problem\" role=\"alert\">{}</p>", escape(text)));
    let values = [
        ("{consent}", escape(&consent_text(link))),
        ("{phone}", escape(phone)),
        ("{problem}", problem.unwrap_or_default()),
    ];
    fill(include_str!("claim_page/form.html"), link, &values)
}

/// Fills a template with what the link gives, and other values.
fn fill(template: &str, link: &ClaimLink<'_>, values: &[(&'static str, String)]) -> String {
    let of_link = [
        ("{campaign}", escape(link.campaign)),
        ("{coins}", link.coins.to_string()),
        ("{service}", escape(link.service)),
    ];
    replace(template, &[&of_link[..], values].concat())
}

/// Replaces placeholders by HTML, from left to right, so that one within a value stays as it is.
fn replace(template: &str, values: &[(&str, String)]) -> String {
    let (mut html, mut rest) = (String::new(), template);
    while let Some(start) = rest.find('{') {
        let (before, placeholder) = rest.split_at(start);
        let value = values.iter().find(|(name, _)| placeholder.starts_with(name));
        let (text, length) = value.map_or(("{", 1), |(name, value)| (value.as_str(), name.len()));
        html += before;
        html += text;
        rest = &placeholder[length..];
    }
    html + rest
}

/// A text as HTML, also within a quoted attribute.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            c => html.push(c),
        }
    }
    html
}

/// The page, which loads nothing and runs nothing.
fn page(status: StatusCode, title: &str, content: &str) -> Response {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let digest = BASE64.encode(&sha256(STYLE.as_bytes()));
        format!(
            "default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; \
             frame-ancestors 'none'"
        )
    });
    let values =
        [("{title}", escape(title)), ("{style}", STYLE.into()), ("{content}", content.into())];
    let html = replace(include_str!("claim_page/page.html"), &values);
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY.as_str())], Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: ClaimLink<'_> =
        ClaimLink { campaign: "{phone} <b>", coins: 5, service: "Tom & Ann's" };

    #[test]
    fn texts_of_others_are_escaped_and_no_templates() {
        let html = form(&LINK, "\"><script>{consent}", Some("<i>"));
        assert!(html.contains("“{phone} &lt;b&gt;”"), "{html}");
        assert!(html.contains("value=\"&quot;&gt;&lt;script&gt;{consent}\""), "{html}");
        assert!(html.contains("Tom &amp; Ann&#39;s"), "{html}");
        assert!(html.contains("&lt;i&gt;"), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }
}
