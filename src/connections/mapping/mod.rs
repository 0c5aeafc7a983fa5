//! Mappings: a caller's JMESPath expressions, applied to a provider's answer.
//!
//! The crate `jmespath` parses and has the values; it bounds nothing. So an expression is checked before and after
//! it is parsed (`limits`), evaluated by an interpreter that counts its steps (`evaluate`), with functions that pay
//! for what they do (`functions`), and its result written by a counter (`output`).

mod apply;
mod budget;
mod evaluate;
mod expression;
mod functions;
mod limits;
mod output;
#[cfg(test)]
mod tests;

pub use apply::Mapping;
