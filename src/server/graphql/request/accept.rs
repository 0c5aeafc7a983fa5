//! Content negotiation by the Accept header (GraphQL over HTTP, "Accept"; RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, HeaderValue, header};

/// The media types of a single response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/graphql-response+json`: 400 for a request that cannot be executed.
    GraphqlResponse,
    /// `application/json`: 200 for every GraphQL response, for older clients.
    Json,
}

impl MediaType {
    /// The value of the Content-Type header.
    pub fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        })
    }
}

/// The media types of a stream of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamType {
    /// `text/event-stream`: graphql-sse in distinct connections mode.
    Events,
    /// `multipart/mixed;subscriptionSpec=1.0`: Apollo's multipart subscriptions.
    Multipart,
}

/// The media types that a client prefers, if it accepts any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedTypes {
    /// Of a single response.
    pub single: Option<MediaType>,
    /// Of a stream of responses.
    pub stream: Option<StreamType>,
}

/// Reads the Accept header. Without one, the client accepts `application/json`.
pub fn accepted_types(headers: &HeaderMap) -> AcceptedTypes {
    let accept: Vec<&str> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    if accept.iter().all(|value| value.trim().is_empty()) {
        return AcceptedTypes { single: Some(MediaType::Json), stream: None };
    }
    let ranges = || accept.iter().flat_map(|value| value.split(',')).filter_map(parse_media_range);
    AcceptedTypes {
        single: most_preferred(
            ranges().filter_map(|(quality, media_type)| Some((quality, media_type.single?))),
        ),
        stream: most_preferred(
            ranges().filter_map(|(quality, media_type)| Some((quality, media_type.stream?))),
        ),
    }
}

/// The first of the types with the highest quality. Quality 0 means not acceptable.
fn most_preferred<T>(types: impl Iterator<Item = (f32, T)>) -> Option<T> {
    let mut best: Option<(f32, T)> = None;
    for (quality, media_type) in types {
        if quality > best.as_ref().map_or(0.0, |(quality, _)| *quality) {
            best = Some((quality, media_type));
        }
    }
    best.map(|(_, media_type)| media_type)
}

fn parse_media_range(text: &str) -> Option<(f32, AcceptedTypes)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next()?.to_ascii_lowercase();
    let parameters: Vec<(&str, &str)> = parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
        .collect();
    let parameter = |wanted: &str| {
        let parameter = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        parameter.map(|(_, value)| *value)
    };
    if parameter("charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return None;
    }
    let single = |media_type| AcceptedTypes { single: Some(media_type), stream: None };
    let stream = |stream_type| AcceptedTypes { single: None, stream: Some(stream_type) };
    let media_type = match name.as_str() {
        "application/graphql-response+json" => single(MediaType::GraphqlResponse),
        "application/json" | "application/*" | "*/*" => single(MediaType::Json),
        "text/event-stream" => stream(StreamType::Events),
        "multipart/mixed" if parameter("subscriptionSpec") == Some("1.0") => {
            stream(StreamType::Multipart)
        }
        _ => return None,
    };
    let quality = parameter("q").and_then(|quality| quality.parse().ok()).unwrap_or(1.0);
    Some((quality, media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(accept: &'static str) -> AcceptedTypes {
        accepted_types(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]))
    }

    #[test]
    fn the_most_preferred_type_wins() {
        use MediaType::{GraphqlResponse, Json};
        assert_eq!(accepted_types(&HeaderMap::new()).single, Some(Json));
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
            assert_eq!(parse(accept).single, expected, "{accept}");
        }
    }

    #[test]
    fn stream_types_are_negotiated_separately() {
        use StreamType::{Events, Multipart};
        let apollo = "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9";
        let both =
            AcceptedTypes { single: Some(MediaType::GraphqlResponse), stream: Some(Multipart) };
        assert_eq!(parse(apollo), both);
        for (accept, expected) in [
            ("text/event-stream", Some(Events)),
            ("multipart/mixed; subscriptionSpec=\"1.0\"", Some(Multipart)),
            ("multipart/mixed;deferSpec=20220824", None),
            ("multipart/mixed", None),
            ("application/json", None),
        ] {
            assert_eq!(parse(accept).stream, expected, "{accept}");
        }
    }
}
