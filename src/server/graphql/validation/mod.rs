//! Checks and rewrites of a document and its variables before anything runs.

pub mod cost;
pub mod document;
pub mod input_field_uniqueness;
pub mod input_validation;
pub mod lexer;
pub mod literals;
pub mod omitted_variables;
pub mod parser_cache;
pub mod request_error;
pub mod schema_index;
pub mod subscription_field;
pub mod text_limits;
pub mod value_checker;
pub mod values;
pub mod variable_usage;
pub mod visitor;
pub mod whole_numbers;
