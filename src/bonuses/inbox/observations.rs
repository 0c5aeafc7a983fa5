//! What was seen of the files in the inbox: since when each is unchanged, and what was decided about it.

use std::collections::HashMap;
use std::time::Duration;

use super::inbox_file::{InboxFile, Verdict};

/// The files that were in the inbox when it was last listed.
#[derive(Debug, Default)]
pub struct Observations(HashMap<String, Observation>);

#[derive(Debug)]
struct Observation {
    version: String,
    /// The uptime at which this version was seen first.
    since: Duration,
    /// What was decided about it, if it could not be moved yet.
    verdict: Option<Verdict>,
}

impl Observations {
    /// Notes the files that are in the inbox now. Returns those that did not change for `quiet_time`, in their order.
    pub fn observe(
        &mut self,
        files: Vec<InboxFile>,
        uptime: Duration,
        quiet_time: Duration,
    ) -> Vec<InboxFile> {
        let mut earlier = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for file in files {
            let unchanged = earlier.remove(&file.name).filter(|seen| seen.version == file.version);
            let version = file.version.clone();
            let seen = unchanged.unwrap_or(Observation { version, since: uptime, verdict: None });
            let is_due = uptime.saturating_sub(seen.since) >= quiet_time;
            self.0.insert(file.name.clone(), seen);
            if is_due {
                due.push(file);
            }
        }
        due
    }

    /// Notes what was decided about a file.
    pub fn decide(&mut self, file: &InboxFile, verdict: Verdict) {
        if let Some(seen) = self.0.get_mut(&file.name).filter(|seen| seen.version == file.version) {
            seen.verdict = Some(verdict);
        }
    }

    /// What was decided about a file.
    pub fn verdict(&self, file: &InboxFile) -> Option<Verdict> {
        let seen = self.0.get(&file.name).filter(|seen| seen.version == file.version);
        seen.and_then(|seen| seen.verdict.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET_TIME: Duration = Duration::from_secs(10);

    fn file(name: &str, version: &str) -> InboxFile {
        InboxFile { name: name.to_owned(), size: 1, version: version.to_owned() }
    }

    /// The names of the files that are due at this second.
    fn due(seen: &mut Observations, second: u64, files: &[InboxFile]) -> Vec<String> {
        let due = seen.observe(files.to_vec(), Duration::from_secs(second), QUIET_TIME);
        due.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn a_file_is_due_when_it_did_not_change_for_the_quiet_time() {
        let mut seen = Observations::default();
        let (one, grown, two) = (file("one", "1"), file("one", "2"), file("two", "1"));
        assert!(due(&mut seen, 100, std::slice::from_ref(&one)).is_empty());
        assert!(due(&mut seen, 109, &[one.clone(), two.clone()]).is_empty());
        assert_eq!(due(&mut seen, 110, &[one, two.clone()]), ["one"]);
        assert!(due(&mut seen, 111, &[grown.clone(), two.clone()]).is_empty());
        assert_eq!(due(&mut seen, 120, &[grown.clone(), two.clone()]), ["two"]);
        assert_eq!(due(&mut seen, 121, &[grown.clone(), two]), ["one", "two"]);
        assert!(due(&mut seen, 122, &[]).is_empty());
        assert!(due(&mut seen, 140, &[grown]).is_empty(), "it was gone meanwhile");
    }

    #[test]
    fn files_are_due_at_once_without_a_quiet_time() {
        let mut seen = Observations::default();
        assert_eq!(seen.observe(vec![file("one", "1")], QUIET_TIME, Duration::ZERO).len(), 1);
    }

    #[test]
    fn a_decision_is_about_one_version() {
        let mut seen = Observations::default();
        let (one, changed) = (file("one", "1"), file("one", "2"));
        due(&mut seen, 0, std::slice::from_ref(&one));
        seen.decide(&changed, Verdict::Done);
        assert_eq!(seen.verdict(&one), None);
        seen.decide(&one, Verdict::Failed("why".to_owned()));
        due(&mut seen, 5, std::slice::from_ref(&one));
        assert_eq!(seen.verdict(&one), Some(Verdict::Failed("why".to_owned())));
        assert_eq!(seen.verdict(&changed), None);
        due(&mut seen, 6, std::slice::from_ref(&changed));
        assert_eq!(seen.verdict(&changed), None);
    }
}
