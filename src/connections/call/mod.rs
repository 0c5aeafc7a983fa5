//! The parts of a call to a provider, as plain functions: the path below the base URL, the query, the headers and
//! the payload of the request; the answer and its rate limit; and which calls are repeated. None of them sends
//! anything. What a caller gives is checked here, and every value that is not allowed is reported with its field.

mod headers;
mod json_shape;
mod location;
mod path;
mod payload;
mod query;
mod rate_limit;
mod response;
mod retry;

pub use headers::{is_allowed_from_caller, is_passed_back, request_headers};
pub use json_shape::{JsonShape, MAX_JSON_DEPTH, TooDeep};
pub use location::withhold_location;
pub use path::join_path;
pub use payload::{Payload, PayloadFormat, encode_payload};
pub use query::query_pairs;
pub use rate_limit::{RateLimit, parse_retry_after};
pub use response::{MAX_RESPONSE_BYTES, ProviderResponse, ResponseBody};
pub use retry::{AttemptOutcome, RetryRules};
