//! What the evaluation of a mapping may cost.

use jmespath::Variable;

/// Steps that a mapping may take for one answer: a visited node of an expression, a value that is copied or
/// compared, or 16 bytes of text. A million takes some 100 ms.
const MAX_STEPS: usize = 1_000_000;

/// Bytes of text that cost a step.
const BYTES_PER_STEP: usize = 16;

/// Which limit a mapping exceeds for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitExceeded {
    /// Too many steps.
    Steps,
    /// A result that is too long, has too many values, or is nested too deep.
    Output,
}

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Budget {
    steps_left: usize,
}

impl Budget {
    /// A whole budget.
    pub(super) fn new() -> Self {
        Self { steps_left: MAX_STEPS }
    }

    /// Pays for some steps, before they are taken.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), LimitExceeded> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(LimitExceeded::Steps)?;
        Ok(())
    }

    /// Pays for a text.
    pub(super) fn spend_text(&mut self, len: usize) -> Result<(), LimitExceeded> {
        self.spend(len / BYTES_PER_STEP)
    }

    /// Pays for a value and what is directly in it.
    pub(super) fn spend_shallow(&mut self, value: &Variable) -> Result<(), LimitExceeded> {
        match value {
            Variable::String(text) => self.spend_text(text.len()),
            Variable::Array(values) => {
                self.spend(values.len())?;
                let texts = values.iter().filter_map(|value| value.as_string());
                self.spend_text(texts.map(String::len).sum())
            }
            Variable::Object(fields) => {
                self.spend(fields.len())?;
                self.spend_text(fields.keys().map(String::len).sum())
            }
            _ => Ok(()),
        }
    }

    /// Pays for a value and everything in it. A value that is shared is paid for each time.
    pub(super) fn spend_deep(&mut self, value: &Variable) -> Result<(), LimitExceeded> {
        self.spend(1)?;
        match value {
            Variable::String(text) => self.spend_text(text.len()),
            Variable::Array(values) => values.iter().try_for_each(|value| self.spend_deep(value)),
            Variable::Object(fields) => fields.iter().try_for_each(|(key, value)| {
                self.spend_text(key.len())?;
                self.spend_deep(value)
            }),
            _ => Ok(()),
        }
    }
}
