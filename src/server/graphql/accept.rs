//! Which form of answer a client takes (GraphQL over HTTP, "Accept"; RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, HeaderValue, header};

/// The two forms of a single answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: the status tells whether the request was good.
    GraphqlResponse,
    /// `application/json`: always 200 where a GraphQL answer is given, for older clients.
    Json,
}

impl MediaType {
    /// As a header's value.
    pub fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// The two forms of answers that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamType {
    /// `text/event-stream`: graphql-sse in distinct connections mode.
    Events,
    /// `multipart/mixed;subscriptionSpec=1.0`: Apollo's multipart subscriptions.
    Multipart,
}

/// What a client takes, the best of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// For a single answer.
    pub single: Option<MediaType>,
    /// For a stream of answers.
    pub stream: Option<StreamType>,
}

/// What the client prefers; `application/json` when it does not say.
pub fn accepted(headers: &HeaderMap) -> Accepted {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accept.iter().all(|value| value.trim().is_empty()) {
        return Accepted { single: Some(MediaType::Json), stream: None };
    }
    let ranges = || accept.iter().flat_map(|value| value.split(',')).filter_map(range);
    Accepted {
        single: best(ranges().filter_map(|(quality, form)| Some((quality, form.single?)))),
        stream: best(ranges().filter_map(|(quality, form)| Some((quality, form.stream?)))),
    }
}

/// The first of those with the highest quality. Quality 0 is a refusal.
fn best<T>(forms: impl Iterator<Item = (f32, T)>) -> Option<T> {
    let mut best: Option<(f32, T)> = None;
    for (quality, form) in forms {
        if quality > best.as_ref().map_or(0.0, |(quality, _)| *quality) {
            best = Some((quality, form));
        }
    }
    best.map(|(_, form)| form)
}

fn range(text: &str) -> Option<(f32, Accepted)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let parameters: Vec<(&str, &str)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .collect();
    let parameter = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| *value)
    };
    if parameter("charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return None;
    }
    let single = |media_type| Accepted { single: Some(media_type), stream: None };
    let stream = |stream_type| Accepted { single: None, stream: Some(stream_type) };
    let form = match name.as_str() {
        "application/graphql-response+json" => single(MediaType::GraphqlResponse),
        "application/json" | "application/*" | "*/*" => single(MediaType::Json),
        "text/event-stream" => stream(StreamType::Events),
        "multipart/mixed" if parameter("subscriptionSpec") == Some("1.0") => {
            stream(StreamType::Multipart)
        }
        _ => return None,
    };
    let quality = parameter("q").and_then(|quality| quality.parse().ok()).unwrap_or(1.0);
    Some((quality, form))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted_by(accept: &'static str) -> Accepted {
        accepted(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_best_acceptable_type_wins() {
        use MediaType::{GraphqlResponse, Json};
        assert_eq!(accepted(&HeaderMap::new()).single, Some(Json));
        for (accept, expected) in [
            ("application/graphql-response+json", Some(GraphqlResponse)),
            ("application/json", Some(Json)),
            ("*/*", Some(Json)),
            ("application/graphql-response+json, application/json;q=0.9", Some(GraphqlResponse)),
            ("application/json; q=0.9, application/graphql-response+json; q=0.8", Some(Json)),
            ("application/graphql-response+json; charset=UTF-8", Some(GraphqlResponse)),
            ("application/json; charset=iso-8859-1", None),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(accepted_by(accept).single, expected, "{accept}");
        }
    }

    #[test]
    fn streams_are_accepted_beside_single_answers() {
        use StreamType::{Events, Multipart};
        let apollo = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9";
        let both = Accepted { single: Some(MediaType::GraphqlResponse), stream: Some(Multipart) };
        assert_eq!(accepted_by(apollo), both);
        for (accept, expected) in [
            ("text/event-stream", Some(Events)),
            ("multipart/mixed; subscriptionSpec=\"1.0\"", Some(Multipart)),
            ("multipart/mixed;deferSpec=20220824", None),
            ("multipart/mixed", None),
            ("application/json", None),
        ] {
            assert_eq!(accepted_by(accept).stream, expected, "{accept}");
        }
    }
}
