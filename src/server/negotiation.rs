//! Which media type an answer has (GraphQL over HTTP, section "Accept").

use axum::http::{HeaderMap, HeaderValue, header};

/// The two forms of a GraphQL answer.
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

/// What the client prefers among the two; `application/json` when it does not say; `None` when it takes
/// neither.
pub fn preferred(headers: &HeaderMap) -> Option<MediaType> {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accept.iter().all(|value| value.trim().is_empty()) {
        return Some(MediaType::Json);
    }
    let ranges = accept.iter().flat_map(|value| value.split(','));
    let mut best: Option<(f32, MediaType)> = None;
    for (quality, media_type) in ranges.filter_map(range) {
        if quality > 0.0 && best.is_none_or(|(other, _)| quality > other) {
            best = Some((quality, media_type));
        }
    }
    best.map(|(_, media_type)| media_type)
}

fn range(text: &str) -> Option<(f32, MediaType)> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/graphql-response+json" => MediaType::GraphqlResponse,
        "application/json" | "application/*" | "*/*" => MediaType::Json,
        _ => return None,
    };
    let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
    let is_utf8 = |(name, value): &(&str, &str)| {
        !name.eq_ignore_ascii_case("charset")
            || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    if !parameters.iter().all(is_utf8) {
        return None;
    }
    let quality = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
    Some((quality.and_then(|(_, value)| value.parse().ok()).unwrap_or(1.0), media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred_by(accept: &'static str) -> Option<MediaType> {
        preferred(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_best_acceptable_type_wins() {
        use MediaType::{GraphqlResponse, Json};
        assert_eq!(preferred(&HeaderMap::new()), Some(Json));
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
            assert_eq!(preferred_by(accept), expected, "{accept}");
        }
    }
}
