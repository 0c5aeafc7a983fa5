//! Template of the HTTP request for a message, compiled from the settings.
//!
//! Invalid settings are reported at startup, so that no message fails because of them.

use reqwest::Method;
use reqwest::header::{
    CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use url::Url;

use super::body_format::{BodyFormat, percent_encode};
use crate::config::sms::HttpGatewayConfig;
use crate::messages::gateway::OutboundSms;
use crate::messages::text_template::TextTemplate;
use crate::platform::outbound::Request;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// URL, headers and body of the request, with placeholders for the message's values.
pub struct RequestTemplate {
    url: TextTemplate<Placeholder>,
    method: Method,
    headers: HeaderMap,
    body: Option<(TextTemplate<Placeholder>, BodyFormat)>,
}

/// A placeholder in the URL or the body.
#[derive(Clone, Copy, Debug)]
enum Placeholder {
    To,
    Body,
    Id,
}

impl RequestTemplate {
    /// Compiles the settings.
    ///
    /// # Errors
    /// A sentence that names the invalid setting. It never shows a value, which may be a secret.
    pub fn compile(settings: &HttpGatewayConfig) -> Result<Self, String> {
        let mut headers = compile_headers(settings)?;
        let body = compile_body(settings, &headers)?;
        if let Some((_, format)) = &body
            && !headers.contains_key(CONTENT_TYPE)
        {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        }
        Ok(Self {
            url: compile_url(settings)?,
            method: Method::try_from(settings.method.as_str())
                .map_err(|_| "SMS_HTTP_METHOD: must be POST, PUT or GET")?,
            headers,
            body,
        })
    }

    /// Builds the request for a message. `None` if the rendered URL or the id is invalid.
    pub fn build(&self, sms: &OutboundSms) -> Option<Request> {
        let value = |placeholder| match placeholder {
            Placeholder::To => sms.to.as_str(),
            Placeholder::Body => sms.body.expose_secret(),
            Placeholder::Id => &sms.client_reference,
        };
        let url =
            Url::parse(&self.url.render(|placeholder| percent_encode(value(placeholder)))).ok()?;
        let mut request = Request::new(self.method.clone(), url);
        request.headers.clone_from(&self.headers);
        if !self.headers.contains_key(IDEMPOTENCY_KEY) {
            let id = HeaderValue::try_from(&sms.client_reference).ok()?;
            request = request.header(IDEMPOTENCY_KEY, id);
        }
        Some(match &self.body {
            Some((body, format)) => {
                request.body(body.render(|placeholder| format.escape(value(placeholder))))
            }
            None => request,
        })
    }
}

fn parse_placeholder(name: &str) -> Option<Placeholder> {
    Some(match name {
        "to" => Placeholder::To,
        "body" => Placeholder::Body,
        "id" => Placeholder::Id,
        _ => return None,
    })
}

fn compile_template(setting: &str, text: &str) -> Result<TextTemplate<Placeholder>, String> {
    let bad = |problem| format!("{setting}: {problem}; there are {{to}}, {{body}} and {{id}}");
    TextTemplate::parse(text, parse_placeholder).map_err(bad)
}

fn compile_url(settings: &HttpGatewayConfig) -> Result<TextTemplate<Placeholder>, String> {
    let url = compile_template("SMS_HTTP_URL", &settings.url)?;
    let origin = |value: &str| {
        let url = Url::parse(&url.render(|_| value.to_owned())).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| url.origin())
    };
    // No value may choose the host.
    match (origin("1"), origin("2")) {
        (Some(one), Some(two)) if one == two => Ok(url),
        (Some(_), Some(_)) => Err("SMS_HTTP_URL: placeholders must stand behind the host".into()),
        _ => Err("SMS_HTTP_URL: must be a URL that starts with http:// or https://".into()),
    }
}

fn compile_headers(settings: &HttpGatewayConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let bad = |what| format!("SMS_HTTP_HEADERS: {name:?} {what}");
        let key = HeaderName::try_from(name).map_err(|_| bad("is no header's name"))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&key) {
            return Err(bad("is set by itself"));
        }
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| bad("has a value that no header can have"))?;
        value.set_sensitive(true);
        if headers.insert(key, value).is_some() {
            return Err(bad("is there twice"));
        }
    }
    Ok(headers)
}

fn compile_body(
    settings: &HttpGatewayConfig,
    headers: &HeaderMap,
) -> Result<Option<(TextTemplate<Placeholder>, BodyFormat)>, String> {
    if settings.body.is_empty() {
        return Ok(None);
    }
    let format = match headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
        Some(content_type) => BodyFormat::from_content_type(content_type.unwrap_or_default()),
        None => BodyFormat::guess(&settings.body),
    };
    let body = compile_template("SMS_HTTP_BODY", &settings.body)?;
    match format {
        // A placeholder outside quotes is not valid JSON either.
        BodyFormat::Json if serde_json::from_str::<IgnoredAny>(&settings.body).is_err() => {
            Err("SMS_HTTP_BODY: must be JSON with the placeholders inside of quotes, or a \
                 Content-Type in SMS_HTTP_HEADERS must say what it is"
                .into())
        }
        BodyFormat::Xml if settings.body.contains("<![CDATA[") => {
            Err("SMS_HTTP_BODY: must have no CDATA, because values are escaped as entities".into())
        }
        format => Ok(Some((body, format))),
    }
}
